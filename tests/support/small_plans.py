"""Plans of two small models over a made-up table, for tests of planning."""

from typing import Any

import pandas as pd

from jobs.corpus.table import Utterance, make_table
from jobs.models import ModelInfo
from jobs.models.taps import TapShape
from jobs.targets.registry import add_targets
from sweep.analyses import plan_run
from sweep.plan.plan import Plan, layer_tasks
from sweep.spec.schema import Spec
from tests.conftest import Values


def utterance(split: str, speaker: int, number: int) -> Utterance:
    name = f"{speaker}-1-{number}"
    return Utterance(
        name, f"/audio/{name}.flac", "ABC DEF", str(speaker), "1", split,
        seconds=1.0 + number, n_samples=16_000 * (1 + number), audio_digest=f"digest of {name}",
    )  # fmt: skip


def small_table() -> pd.DataFrame:
    parts = {"train": (1, 2, 3), "validation": (4, 5), "test": (6, 7)}
    rows = [utterance(p, s, n) for p, speakers in parts.items() for s in speakers for n in range(4)]
    return add_targets(make_table(rows), ["cps"])


def info(digest: str = "d", names: tuple[str, ...] = ("stem", "layer1.0.relu1")) -> ModelInfo:
    taps = tuple(
        TapShape(i, name, f"study {name}", (8, 80, "T"), 640) for i, name in enumerate(names)
    )
    return ModelInfo(architecture="net", digest=digest, n_parameters=1, taps=taps)


def infos(**digests: str) -> dict[str, ModelInfo]:
    baselines = {
        "baseline:duration": info("dur", ("duration",)),
        "baseline:fbank": info("fb", ("statistics",)),
    }
    return {"a": info(digests.get("a", "d1")), "b": info(digests.get("b", "d2")), **baselines}


class MakePlan:
    """Plans a spec with top-level values changed."""

    def __init__(self, values: Values, table: pd.DataFrame) -> None:
        self._values = values
        self._table = table

    def __call__(
        self, table: pd.DataFrame | None = None, models: Any = None, **changes: Any
    ) -> Plan:
        spec = Spec.model_validate({**self._values, "layers": "all", **changes})
        return plan_run(spec, self._table if table is None else table, models or infos())


def cell_ids(plan: Plan) -> set[str]:
    return {cell.cell_id for task in layer_tasks(plan) for cell in task.cells}


def activation_ids(plan: Plan, model: str = "a") -> list[str]:
    return [s.activation_id for m in plan.models if m.name == model for s in m.sets]
