"""``store: gram`` in a spec: what it cannot do, and where its statistics lie."""

from collections.abc import Iterator

from jobs.gram.fit import GRAM_PROBES, GramSets
from jobs.probes import probe_name
from jobs.probes.ridge import RidgeSettings
from jobs.protocol.folds import KFoldProtocol, ProtocolSettings
from jobs.storage.location import Location
from sweep.errors import Problem
from sweep.plan.plan import PlannedModel
from sweep.spec.schema import Spec
from sweep.spec.source import KeyPath, Source

MOST_FOLDS = 3
"""With which inner folds are kept apart: 5 for each of 3 parts. A part that trains m folds takes
up to 5^m sums."""


def gram_problems(spec: Spec, source: Source) -> Iterator[Problem]:
    """What ``spec`` asks for and statistics cannot give, each at its place."""
    if spec.store == "gram":
        for place, message in why_no_gram(spec):
            yield source.problem(place, message)


def why_no_gram(spec: Spec) -> Iterator[tuple[KeyPath, str]]:
    """(place, reason) of what statistics cannot give."""
    for position, probe in enumerate(spec.probes):
        trouble = None
        if probe.kind not in GRAM_PROBES:
            trouble = (
                "needs every activation, and store: gram keeps sums of them, which suffice for "
                f"{' and '.join(GRAM_PROBES)}: remove it, or use store: activations"
            )
        elif isinstance(probe, RidgeSettings):
            trouble = _ridge_trouble(probe, spec.protocol)
        if trouble:
            yield ("probes", position), f"{probe_name(probe)}: {trouble}"
    if spec.similarity is None:
        return
    if isinstance(spec.protocol, KFoldProtocol):
        message = (
            "similarity compares activations, and store: gram with kfold keeps none: remove it, "
            "or use protocol: {kind: splits}, or store: activations"
        )
        yield ("similarity",), message
    elif spec.similarity.part not in (None, spec.protocol.test):
        message = (
            f"part: under store: gram only the test part {spec.protocol.test!r} has activations "
            f"to compare layers on, found {spec.similarity.part!r}"
        )
        yield ("similarity", "part"), message


def _ridge_trouble(probe: RidgeSettings, protocol: ProtocolSettings) -> str | None:
    n_folds = protocol.folds if isinstance(protocol, KFoldProtocol) else 1
    if probe.choose == "loo":
        return (
            "chooses alpha on single utterances (choose: loo), of which store: gram keeps nothing: "
            "let it choose on validation or on inner folds"
        )
    if probe.choose == "inner" and n_folds > MOST_FOLDS:
        return (
            f"inner folds of {n_folds} folds overlap in so many ways that too many sums "
            f"would be kept: let it choose on validation, the next fold, or use {MOST_FOLDS} folds "
            "or fewer"
        )
    return None


def gram_sets(model: PlannedModel, cache: Location) -> GramSets | None:
    """Where the statistics of a model lie; None if it has none."""
    sets = [planned for planned in model.sets if planned.gram is not None]
    if not sets or sets[0].gram is None:
        return None
    units = {planned.unit: (planned.folder(cache), planned.n_shards) for planned in sets}
    return GramSets(sets[0].gram, tuple(units[number] for number in range(len(units))))
