from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from jobs.corpus.table import Skipped, Utterance, make_table
from jobs.identity import content_id
from jobs.models import ModelInfo
from jobs.models.taps import TapShape
from jobs.store import file_state, write_shard
from jobs.targets import add_targets
from sweep import plan as planning
from sweep.backlog import missing_shards
from sweep.ledger import Record
from sweep.plan import Plan, layer_tasks, make_plan, shards, why_stale
from sweep.spec import Spec
from tests.conftest import Values


def utterance(split: str, speaker: int, number: int) -> Utterance:
    name = f"{speaker}-1-{number}"
    return Utterance(
        name, f"/audio/{name}.flac", "ABC DEF", str(speaker), "1", split,
        seconds=1.0 + number, n_samples=16_000 * (1 + number), audio_digest=f"digest of {name}",
    )  # fmt: skip


@pytest.fixture
def table() -> pd.DataFrame:
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


@pytest.fixture
def make(spec_values: Values, table: pd.DataFrame) -> Callable[..., Plan]:
    """Plans the tiny spec with top-level values changed."""

    def plan(table: pd.DataFrame = table, models: Any = None, **changes: Any) -> Plan:
        spec = Spec.model_validate({**spec_values, "layers": "all", **changes})
        return make_plan(spec, table, models or infos())

    return plan


def cell_ids(plan: Plan) -> set[str]:
    return {cell.cell_id for task in layer_tasks(plan) for cell in task.cells}


def activation_ids(plan: Plan, model: str = "a") -> list[str]:
    return [s.activation_id for m in plan.models if m.name == model for s in m.sets]


def test_the_grid_is_the_product_of_its_axes(make: Callable[..., Plan]) -> None:
    plan = make()
    layers, probe_seeds, controls = 2 + 2 + 1 + 1, 1 + 2 + 1, 2
    assert plan.n_cells == layers * probe_seeds * controls
    assert len(cell_ids(plan)) == plan.n_cells


def test_a_plan_survives_being_written(make: Callable[..., Plan]) -> None:
    plan = make(protocol={"kind": "kfold", "folds": 3})
    again = Plan.model_validate_json(plan.model_dump_json())
    assert again == plan
    assert cell_ids(again) == cell_ids(plan)


def test_a_new_probe_model_or_target_leaves_every_old_cell_as_it_was(
    make: Callable[..., Plan], spec_values: Values, table: pd.DataFrame
) -> None:
    old = make()
    more = make(
        table=add_targets(table, ["duration"]),
        targets=["cps", "duration"],
        probes=[*spec_values["probes"], {"kind": "ridge", "name": "stiff", "alphas": [1.0]}],
        models=infos(),
    )
    assert cell_ids(old) < cell_ids(more)
    assert activation_ids(old) == activation_ids(more)


def test_more_seeds_keep_the_old_ones(make: Callable[..., Plan], spec_values: Values) -> None:
    more = make(
        probes=[{**p, "seeds": 5} if p["kind"] == "mlp" else p for p in spec_values["probes"]]
    )
    assert cell_ids(make()) < cell_ids(more)


@pytest.mark.parametrize(
    "changes",
    [
        {"compute": {"extractor": {"cpus": 2, "gpus": 1}, "probe": {"cpus": 2}}},
        {"name": "other"},
        {"bootstrap": {"resamples": 500}},
    ],
)
def test_how_it_is_run_changes_no_id(make: Callable[..., Plan], changes: Values) -> None:
    assert cell_ids(make(**changes)) == cell_ids(make())


def test_moving_the_audio_changes_no_id(make: Callable[..., Plan], table: pd.DataFrame) -> None:
    moved = table.assign(audio_path="/elsewhere/" + table["utterance_id"])
    assert cell_ids(make(table=moved)) == cell_ids(make())


@pytest.mark.parametrize(
    "changes",
    [{"features": {"max_frames": 400}}, {"pooling": "mean+std"}, {"dtype": "float16"}],
)
def test_what_changes_activations_changes_every_id(
    make: Callable[..., Plan], changes: Values
) -> None:
    assert not set(activation_ids(make(**changes))) & set(activation_ids(make()))
    assert not cell_ids(make(**changes)) & cell_ids(make())


def test_other_weights_change_the_ids_of_that_model_only(make: Callable[..., Plan]) -> None:
    old, new = make(), make(models=infos(a="retrained"))
    assert not set(activation_ids(old)) & set(activation_ids(new))
    assert activation_ids(old, "b") == activation_ids(new, "b")
    assert len(cell_ids(old) & cell_ids(new)) == plan_cells_without(old, "a")


def plan_cells_without(plan: Plan, model: str) -> int:
    return sum(len(task.cells) for task in layer_tasks(plan) if task.model.name != model)


def test_another_recording_re_extracts_only_its_part(
    make: Callable[..., Plan], table: pd.DataFrame
) -> None:
    changed = table.copy()
    changed.loc[changed["split"] == "test", "audio_digest"] += " again"
    old, new = activation_ids(make()), activation_ids(make(table=changed))
    assert [a == b for a, b in zip(old, new, strict=True)] == [True, True, False]


def test_another_label_re_extracts_nothing_and_probes_again(
    make: Callable[..., Plan], table: pd.DataFrame
) -> None:
    new = make(table=table.assign(cps=table["cps"] + 1e-12))
    assert activation_ids(new) == activation_ids(make())
    assert not cell_ids(new) & cell_ids(make())


def test_equal_weights_under_two_names_share_their_activations(make: Callable[..., Plan]) -> None:
    plan = make(models=infos(a="same", b="same"))
    assert activation_ids(plan, "a") == activation_ids(plan, "b")


def test_shards_cover_every_utterance_once_in_order(
    make: Callable[..., Plan], table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "SHARD_UTTERANCES", 5)
    plan = make()
    for planned in plan.models[0].sets:
        made = shards(planned, table, Path("/cache"))
        assert [shard.index for shard in made] == list(range(planned.n_shards))
        ids = [name for shard in made for name in shard.utterance_ids]
        assert ids == list(table.loc[table["split"] == planned.split, "utterance_id"])
        assert max(len(shard.utterance_ids) for shard in made) <= 5


def test_a_shard_of_wide_layers_holds_fewer_utterances(make: Callable[..., Plan]) -> None:
    wide = info(names=tuple(f"layer{i}" for i in range(10_000)))
    [planned, *_] = make(models={**infos(), "a": wide}).models[0].sets
    assert planned.shard_size * 10_000 * 640 * 4 <= planning.SHARD_BYTES


def test_a_pattern_that_fits_one_model_only_is_fine(make: Callable[..., Plan]) -> None:
    plan = make(
        models={**infos(), "b": info(names=("encoder.0", "stem"))}, layers=["encoder.*", "stem"]
    )
    assert [[layer.name for layer in m.layers] for m in plan.models[:2]] == [
        ["stem"],
        ["encoder.0", "stem"],
    ]


def test_a_stale_cell_is_found_with_the_reason(
    make: Callable[..., Plan], table: pd.DataFrame
) -> None:
    old = make()
    records = [
        Record(
            cell_id=cell.cell_id, status="done", model=task.model.name, layer=task.layer.name,
            layer_index=0, target=cell.target, probe=cell.probe, seed=cell.seed, fold=cell.fold,
            control=cell.control,
            made_from=planning.made_from(old, task.model, cell.target, cell.probe),
        )
        for task in layer_tasks(old)
        for cell in task.cells
    ]  # fmt: skip
    assert not why_stale(old, records)
    new = make(table=table.assign(cps=table["cps"] * 2), models=infos(a="retrained"))
    in_a = old.n_cells - plan_cells_without(old, "a")
    assert why_stale(new, records) == {
        "activations and labels changed": in_a,
        "labels changed": old.n_cells - in_a,
    }


def test_shards_carry_the_digest_of_the_weights_they_are_planned_for(
    make: Callable[..., Plan], table: pd.DataFrame
) -> None:
    for model in make().models:
        for planned in model.sets:
            for shard in shards(planned, table, Path("/cache")):
                assert shard.model_digest == model.digest


def test_another_grouping_of_the_folds_changes_every_cell_and_no_activation(
    make: Callable[..., Plan], table: pd.DataFrame
) -> None:
    protocol = {"kind": "kfold", "folds": 2, "group": "chapter_id"}
    old = make(table=table.assign(chapter_id=table["speaker_id"]), protocol=protocol)
    moved = table["speaker_id"].where(table["speaker_id"] != "2", "1")
    new = make(table=table.assign(chapter_id=moved), protocol=protocol)
    assert not cell_ids(old) & cell_ids(new)
    assert activation_ids(old) == activation_ids(new)
    again = make(table=table.assign(chapter_id=table["speaker_id"]), protocol=protocol)
    assert cell_ids(old) == cell_ids(again)
    assert cell_ids(Plan.model_validate_json(old.model_dump_json())) == cell_ids(old)


def test_the_ids_of_a_protocol_by_speaker_know_nothing_of_other_groups(
    make: Callable[..., Plan], table: pd.DataFrame
) -> None:
    for protocol in ({"kind": "splits"}, {"kind": "kfold", "folds": 3}):
        plan = make(protocol=protocol)
        assert plan.groups is None
        made = planning.made_from(plan, plan.models[0], "cps", "ridge")
        assert made["protocol"] == content_id(plan.protocol.identity())
        assert cell_ids(plan) == cell_ids(make(table.assign(chapter_id="9"), protocol=protocol))


def test_a_target_with_gaps_moves_no_other_cell(
    make: Callable[..., Plan], table: pd.DataFrame
) -> None:
    gaps = table.assign(jitter=table["cps"].where(table.index % 3 != 0))
    more = make(table=gaps, targets=["cps", "jitter"])
    assert cell_ids(make()) < cell_ids(more)
    assert activation_ids(make()) == activation_ids(more)
    filled = gaps.assign(jitter=table["cps"])
    assert make(table=filled, targets=["jitter"]).targets != {"jitter": more.targets["jitter"]}


def test_a_shard_is_missing_again_when_a_file_that_it_left_out_was_repaired(
    make: Callable[..., Plan], table: pd.DataFrame, tmp_path: Path
) -> None:
    audio = tmp_path / "1-1-0.flac"
    audio.write_bytes(b"damaged")
    here = table["utterance_id"] == "1-1-0"
    table = table.assign(audio_path=table["audio_path"].mask(here, str(audio)))
    model = make(table=table).models[0]
    for planned in model.sets:
        for shard in shards(planned, table, tmp_path):
            left_out = [name for name in shard.utterance_ids if name == "1-1-0"]
            rest = [name for name in shard.utterance_ids if name not in left_out]
            values = {"stem": np.zeros((len(rest), 2), dtype=np.float32)}
            skipped = [Skipped(name, str(audio), "truncated") for name in left_out]
            files = [file_state(str(audio))] * len(left_out)
            write_shard(shard.folder, shard.index, values, rest, skipped, {}, files)

    def missing() -> list[str]:
        found = missing_shards(model, table, tmp_path, on_corrupt=lambda error: None)
        return [shard.folder.name for shard in found]

    assert missing() == []
    audio.write_bytes(b"mended")
    assert missing() == [s.activation_id for s in model.sets if s.split == "train"]


def with_sex(table: pd.DataFrame) -> pd.DataFrame:
    """Two classes, one of them to be read as a number, and an utterance without."""
    sex = table["speaker_id"].map(lambda name: "f" if int(name) % 2 else "0084")
    return table.assign(sex=sex.where(table.index != 3, ""))


def mixed(table: pd.DataFrame, **changes: Any) -> dict[str, Any]:
    probes = [{"kind": "ridge"}, {"kind": "mlp", "seeds": 3}, {"kind": "logistic"}]
    return {"table": with_sex(table), "targets": ["cps", "sex"], "probes": probes, **changes}


def test_pairs_that_do_not_fit_are_not_planned(
    make: Callable[..., Plan], table: pd.DataFrame
) -> None:
    plan = make(**mixed(table))
    assert plan.classes == {"sex": ("0084", "f")}
    pairs = {(cell.target, cell.probe) for task in layer_tasks(plan) for cell in task.cells}
    assert pairs == {("cps", "ridge"), ("cps", "mlp"), ("sex", "logistic")}
    layers, seeds, controls = 2 + 2 + 1 + 1, 1 + 3 + 1, 2
    assert plan.n_cells == len(cell_ids(plan)) == layers * seeds * controls


def test_a_class_beside_them_leaves_the_cells_of_numbers_as_they_were(
    make: Callable[..., Plan], table: pd.DataFrame
) -> None:
    both = mixed(table)
    alone = make(probes=both["probes"][:2], targets=["cps"])
    assert alone.classes == {}
    assert cell_ids(alone) < cell_ids(make(**both))


def test_a_plan_with_classes_survives_being_written_and_one_of_before_is_read(
    make: Callable[..., Plan], table: pd.DataFrame
) -> None:
    plan = make(**mixed(table))
    assert Plan.model_validate_json(plan.model_dump_json()) == plan
    old = make().model_dump(mode="json")
    del old["classes"]
    assert cell_ids(Plan.model_validate(old)) == cell_ids(make())


def test_another_class_of_an_utterance_is_another_cell(
    make: Callable[..., Plan], table: pd.DataFrame
) -> None:
    one = mixed(table, targets=["sex"], probes=[{"kind": "logistic"}])
    other = {**one, "table": one["table"].assign(sex=one["table"]["sex"].replace("f", "m"))}
    assert not cell_ids(make(**one)) & cell_ids(make(**other))


def test_leave_for_a_speaker_in_two_folds_changes_no_cell(
    make: Callable[..., Plan], table: pd.DataFrame
) -> None:
    protocol = {"kind": "kfold", "folds": 2}
    allowed = {**protocol, "allow_speaker_overlap": True}
    assert cell_ids(make(protocol=protocol)) == cell_ids(make(protocol=allowed))
