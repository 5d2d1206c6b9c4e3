"""``store: gram`` in a spec: what it cannot do, what it costs, and where its statistics lie."""

from collections.abc import Iterator

import pandas as pd

from jobs.gram_probe import GRAM_PROBES, GramSets
from jobs.place import Place
from jobs.probes import probe_name
from jobs.probes.ridge import RidgeSettings
from jobs.protocol import SplitsProtocol
from sweep.plan import Plan, PlannedModel, PlannedSet, with_gram
from sweep.source import Location, Problem, Source
from sweep.spec import Spec

GIB = 2**30


def gram_problems(spec: Spec, source: Source) -> Iterator[Problem]:
    """What ``spec`` asks for and statistics cannot give, each at its place."""
    if spec.store == "gram":
        for place, message in why_no_gram(spec):
            yield source.problem(place, message)


def why_no_gram(spec: Spec) -> Iterator[tuple[Location, str]]:
    """(place, reason) of what statistics of whole parts cannot give."""
    if not isinstance(spec.protocol, SplitsProtocol):
        message = (
            f"store: gram sums up whole parts of the corpus, and {spec.protocol.kind} tests every "
            "utterance once, which takes its activations: use protocol: {kind: splits}, or store: "
            "activations"
        )
        yield ("protocol",), message
        return
    for position, probe in enumerate(spec.probes):
        trouble = None
        if probe.kind not in GRAM_PROBES:
            trouble = (
                "needs every activation, and store: gram keeps sums of them, which suffice for "
                f"{' and '.join(GRAM_PROBES)}: remove it, or use store: activations"
            )
        elif isinstance(probe, RidgeSettings) and probe.choose in ("inner", "loo"):
            trouble = (
                f"chooses alpha on single speakers or utterances (choose: {probe.choose}), of "
                "which store: gram keeps nothing: let it choose on validation"
            )
        elif isinstance(probe, RidgeSettings) and spec.protocol.validation is None:
            trouble = "chooses alpha on a validation part under store: gram: name one in protocol"
        if trouble:
            yield ("probes", position), f"{probe_name(probe)}: {trouble}"
    part = spec.similarity.part if spec.similarity else None
    if part is not None and part != spec.protocol.test:
        message = (
            f"part: under store: gram only the test part {spec.protocol.test!r} has activations "
            f"to compare layers on, found {part!r}"
        )
        yield ("similarity", "part"), message


def gram_sets(model: PlannedModel, cache: Place) -> GramSets | None:
    """Where the statistics of a model lie; None if it has none."""
    sets = {planned.split: planned for planned in model.sets if planned.gram is not None}
    if not sets:
        return None

    def place(planned: PlannedSet) -> tuple[Place, int]:
        return planned.folder(cache), planned.n_shards

    settings = next(iter(sets.values())).gram
    assert settings is not None
    validation = settings.protocol.validation
    return GramSets(
        settings=settings,
        train=place(sets[settings.protocol.train]),
        validation=None if validation is None else place(sets[validation]),
    )


def cost_lines(spec: Spec, table: pd.DataFrame, plan: Plan) -> Iterator[str]:
    """What both ways to store a model cost, if both are open to the spec."""
    if any(why_no_gram(spec)):
        return
    for model in plan.models:
        gram = with_gram(spec, table, plan.targets, model)
        whole = sum(planned.n_utterances for planned in model.sets) * model.row_bytes
        tested = sum(planned.n_utterances for planned in gram.stored_sets) * model.row_bytes
        disk = tested + sum(s.n_shards for s in gram.sets if s.gram) * gram.gram_bytes
        yield (
            f"{model.name}: store: activations takes {whole / GIB:.3g} GiB of disk; store: gram "
            f"{disk / GIB:.3g} GiB, and {gram.gram_memory / GIB:.3g} GiB of memory an extractor"
        )
