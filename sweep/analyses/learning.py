"""Learning curves: scores of probes that were fitted to fewer training speakers."""

from collections.abc import Callable, Iterator, Mapping

import pandas as pd

from jobs.protocol.training_fractions import DRAWS
from sweep.analyses.base import Analysis, QueueRecorder, RunContext, StoredRun
from sweep.analyses.layer_queue import LayerQueue, cost_of_layers, unfinished
from sweep.analyses.learning_plan import learning_job, learning_layers, smaller_fractions
from sweep.analyses.learning_table import learning_table
from sweep.plan.plan import Plan
from sweep.spec.check import CheckContext, Finding
from sweep.spec.schema import Spec
from sweep.state.ledger import Finished, Record


def check_fractions(spec: Spec, context: CheckContext) -> Iterator[Finding]:
    """Refuse learning curves without activations."""
    if spec.store == "gram" and min(spec.train_fractions) < 1:
        message = (
            "train_fractions needs the activations of all utterances, and store: gram keeps sums: "
            "remove it, or use store: activations"
        )
        yield ("train_fractions",), message


class Learning(Analysis):
    """The spec's probes on fractions of the training speakers, in separate jobs."""

    name = "learning"
    checks = (check_fractions,)

    def extend_plan(self, plan: Plan, spec: Spec, table: pd.DataFrame) -> Plan:
        """Add the fractions; they need no activations of their own."""
        return plan.model_copy(update={"train_fractions": spec.train_fractions})

    def queue(
        self,
        run: RunContext,
        is_extracted: Callable[[str], bool] = lambda model: False,
        recorder: QueueRecorder | None = None,
    ) -> LayerQueue | None:
        """One job per layer without a file."""
        if not smaller_fractions(run.plan):
            return None
        jobs = [
            learning_job(run.plan, layer, run.folder, run.cache)
            for layer in unfinished(run.folder, learning_layers(run.plan))
        ]
        return LayerQueue(self.name, jobs, (), is_extracted, recorder)

    def tables(self, run: StoredRun) -> dict[str, pd.DataFrame]:
        """``learning.csv``."""
        table = run.utterances if smaller_fractions(run.plan) else pd.DataFrame()
        found = learning_table(run.plan, run.folder.predictions, run.records, table)
        return {"learning": found}

    def cost(
        self, run: RunContext, records: Mapping[str, Finished | Record], jobs_left: int
    ) -> Iterator[str]:
        """Layers that are left."""
        fractions = smaller_fractions(run.plan)
        if not fractions:
            return
        cost = cost_of_layers(sum(len(model.layers) for model in run.plan.models), jobs_left)
        shown = ", ".join(f"{fraction:g}" for fraction in fractions)
        yield f"learning curves at {shown} of the training speakers, {DRAWS} draws each: {cost}"


LEARNING = Learning()
