"""Beyond the input: gain of each layer over nuisances such as duration and filter bank."""

from collections.abc import Callable, Iterator, Mapping

import pandas as pd

from jobs.beyond.settings import BASELINES, COLUMNS
from jobs.models import is_baseline
from jobs.targets.registry import find_target
from sweep.analyses.base import Analysis, QueueRecorder, RunContext, StoredRun
from sweep.analyses.beyond_plan import beyond_baselines, beyond_job, beyond_layers, with_beyond
from sweep.analyses.beyond_table import beyond_table, columns_of_layers
from sweep.analyses.layer_queue import LayerQueue, cost_of_layers, unfinished
from sweep.plan.plan import Plan
from sweep.spec.check import CheckContext, Finding
from sweep.spec.schema import Spec
from sweep.state.ledger import Finished, Record


def check_beyond(spec: Spec, context: CheckContext) -> Iterator[Finding]:
    """Refuse nuisances that the run does not have."""
    if spec.beyond is None:
        return
    if spec.store == "gram":
        message = (
            "beyond needs the activations of all utterances, and store: gram keeps sums: remove "
            "it, or use store: activations"
        )
        yield ("beyond",), message
    for position, name in enumerate(spec.beyond.nuisances):
        place = ("beyond", "nuisances", position)
        if name in BASELINES and name not in spec.baselines:
            yield place, f"{name} is the baseline of that name: add it to baselines"
        if name in COLUMNS and context.utterances is not None:
            yield from _check_column(COLUMNS[name], place, context.utterances)


def _check_column(
    name: str, place: tuple[str | int, ...], table: pd.DataFrame
) -> Iterator[Finding]:
    try:
        kind = find_target(name, table).kind
    except ValueError as error:
        yield place, str(error)
        return
    if kind != "regression":
        yield place, f"the column {name} of the corpus holds classes, and a nuisance needs numbers"


class Beyond(Analysis):
    """Banded ridge regression on nuisances without and with each layer, in separate jobs."""

    name = "beyond"
    checks = (check_beyond,)

    def columns(self, spec: Spec) -> tuple[str, ...]:
        """Measured nuisances."""
        nuisances = spec.beyond.nuisances if spec.beyond else ()
        return tuple(COLUMNS[name] for name in nuisances if name in COLUMNS)

    def extend_plan(self, plan: Plan, spec: Spec, table: pd.DataFrame) -> Plan:
        """Add the nuisances; they need no activations of their own."""
        return with_beyond(plan, spec, table)

    def queue(
        self,
        run: RunContext,
        is_extracted: Callable[[str], bool] = lambda model: False,
        recorder: QueueRecorder | None = None,
    ) -> LayerQueue | None:
        """One job per layer without a file."""
        if run.plan.beyond is None:
            return None
        jobs = [
            beyond_job(run.plan, layer, run.folder, run.cache)
            for layer in unfinished(run.folder, beyond_layers(run.plan))
        ]
        others = [model.name for model in beyond_baselines(run.plan).values()]
        return LayerQueue(self.name, jobs, others, is_extracted, recorder)

    def tables(self, run: StoredRun) -> dict[str, pd.DataFrame]:
        """``beyond.csv``."""
        speakers = (
            dict(zip(run.utterances["utterance_id"], run.utterances["speaker_id"], strict=True))
            if run.plan.beyond
            else {}
        )
        return {"beyond": beyond_table(run.plan, run.folder.predictions, speakers)}

    def layer_columns(self, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame | None:
        """``beyond`` with its interval."""
        return columns_of_layers(tables["beyond"])

    def cost(
        self, run: RunContext, records: Mapping[str, Finished | Record], jobs_left: int
    ) -> Iterator[str]:
        """Layers that are left."""
        if run.plan.beyond is None:
            return
        models = [one for one in run.plan.models if not is_baseline(one.extract.model)]
        cost = cost_of_layers(sum(len(model.layers) for model in models), jobs_left)
        yield f"beyond {' + '.join(run.plan.beyond.nuisances)}: {cost}"


BEYOND = Beyond()
