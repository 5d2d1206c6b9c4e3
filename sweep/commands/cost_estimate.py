"""Disk and memory of both ways to store activations."""

from collections.abc import Iterator

import pandas as pd

from sweep.plan.activation_sets import with_gram
from sweep.plan.plan import Plan
from sweep.prepare.checks.gram import gram_obstacles
from sweep.spec.schema import Spec

GIB = 2**30


def cost_lines(spec: Spec, table: pd.DataFrame, plan: Plan) -> Iterator[str]:
    """Format a line per model with the cost of both, if the spec could use either."""
    if any(gram_obstacles(spec)):
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
