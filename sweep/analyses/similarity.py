"""Similarity: every layer of every model compared with every other."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import pandas as pd

from jobs.similarity.settings import FEWEST
from sweep.analyses.base import Analysis, QueueRecorder, RunContext, StoredRun
from sweep.analyses.similarity_jobs import Comparison
from sweep.analyses.similarity_pairs import (
    compared_models,
    compared_split,
    draw_utterances,
    model_pairs,
)
from sweep.analyses.similarity_table import similarity_table
from sweep.plan.make_plan import used_splits
from sweep.spec.check import CheckContext, Finding
from sweep.spec.schema import Spec
from sweep.spec.suggestions import nearest
from sweep.state.ledger import Finished, Record
from sweep.wording import counted

GIB = 2**30
SKETCH_FLOPS, PAIR_FLOPS = 8e9, 15e9
"""Multiplications per second of one core (AMD EPYC, Zen 4) in making a layer's sketch, and in
comparing two: measured with N = 1000, D = 640 and 5120; accurate to a factor of about 2."""


def check_part(spec: Spec, context: CheckContext) -> Iterator[Finding]:
    """Refuse to compare layers on a split that is not extracted."""
    if spec.similarity is None or context.utterances is None:
        return
    split, splits = compared_split(spec), used_splits(spec, context.utterances)
    if split is not None and split not in splits:
        message = f"part: the run has no activations of {split!r}{nearest(split, splits)}"
        yield ("similarity", "part"), message


def check_count(spec: Spec, context: CheckContext) -> Iterator[Finding]:
    """Refuse to compare layers on too few utterances."""
    if spec.similarity is None or context.table is None:
        return
    split, table = compared_split(spec), context.table
    count = len(table) if split is None else int((table["split"] == split).sum())
    if count < FEWEST:
        where = split or "all"
        message = f"similarity needs at least {FEWEST} utterances, found {count} in {where}"
        yield ("similarity",), message


class Similarity(Analysis):
    """Comparison of layers, in separate jobs."""

    name = "similarity"
    checks = (check_part, check_count)

    def queue(
        self,
        run: RunContext,
        is_extracted: Callable[[str], bool] = lambda model: False,
        recorder: QueueRecorder | None = None,
    ) -> Comparison | None:
        """Sketches of layers, and tiles of pairs of layers."""
        if run.spec.similarity is None:
            return None
        return Comparison(
            run.spec, run.plan, run.table, run.folder, run.cache, is_extracted, recorder
        )

    def tables(self, run: StoredRun) -> dict[str, pd.DataFrame]:
        """``similarity.csv``."""
        pairs = model_pairs(run.spec, run.plan, run.utterances)
        table = similarity_table(run.spec.similarity, pairs, run.folder.similarity)
        return {"similarity": table}

    def cost(
        self, run: RunContext, records: Mapping[str, Finished | Record], jobs_left: int
    ) -> Iterator[str]:
        """Pairs, seconds of a core and disk."""
        if run.spec.similarity is None:
            return
        measures = run.spec.similarity.measures
        n = len(draw_utterances(run.spec, run.table))
        widths = [layer.width for model in compared_models(run.plan) for layer in model.layers]
        pairs = len(widths) * (len(widths) + 1) // 2
        if not jobs_left:
            yield f"similarity: {pairs} pairs of layers, all done"
            return
        seconds = _seconds(n, widths, cka="cka" in measures, pwcca="pwcca" in measures)
        numbers = sum(n * n // 2 + min(n, width) * (n + width) for width in widths)
        yield (
            f"similarity: {pairs} pairs of {len(widths)} layers on {counted(n, 'utterance')}, no "
            f"forward passes of their own: about {seconds:.2g} s of one core, and at most "
            f"{4 * numbers / GIB:.2g} GiB of disk in the run's folder until it is done"
        )


def _seconds(n: int, widths: Sequence[int], *, cka: bool, pwcca: bool) -> float:
    """Duration on one core of all sketches and all pairs of layers of ``widths`` D.

    The number of directions r that PWCCA keeps of a layer is taken as half of its maximum.
    """
    ranks = [min(n, width) / 2 for width in widths]
    pairs = len(widths) * (len(widths) + 1) / 2
    mean_rank = sum(ranks) / len(ranks)
    sketches = sum(cka * n * n * w + pwcca * n * w * min(n, w) for w in widths)
    compared = cka * n * n + pwcca * (2 * n * mean_rank**2 + 10 * mean_rank**3)
    return sketches / SKETCH_FLOPS + pairs * compared / PAIR_FLOPS


SIMILARITY = Similarity()
