"""The grid of cells: its ids, and the changes that affect them."""

from typing import Any

import pandas as pd
import pytest

from jobs.identity import content_id
from jobs.targets.registry import add_targets
from sweep.plan.plan import Plan, layer_tasks, made_from
from sweep.plan.stale import why_stale
from sweep.state.ledger import Record
from tests.conftest import Values
from tests.support.small_plans import MakePlan, activation_ids, cell_ids, info, infos, small_table


@pytest.fixture
def table() -> pd.DataFrame:
    return small_table()


@pytest.fixture
def make(spec_values: Values, table: pd.DataFrame) -> MakePlan:
    return MakePlan(spec_values, table)


def test_the_grid_is_the_product_of_its_axes(make: MakePlan) -> None:
    plan = make()
    layers, probe_seeds, controls = 2 + 2 + 1 + 1, 1 + 2 + 1, 2
    assert plan.n_cells == layers * probe_seeds * controls
    assert len(cell_ids(plan)) == plan.n_cells


def test_a_plan_survives_a_round_trip_through_json(make: MakePlan) -> None:
    plan = make(protocol={"kind": "kfold", "folds": 3})
    again = Plan.model_validate_json(plan.model_dump_json())
    assert again == plan
    assert cell_ids(again) == cell_ids(plan)


def test_a_new_probe_model_or_target_keeps_all_existing_cell_ids(
    make: MakePlan, spec_values: Values, table: pd.DataFrame
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


def test_more_seeds_keep_the_cells_of_existing_seeds(make: MakePlan, spec_values: Values) -> None:
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
def test_settings_of_execution_change_no_id(make: MakePlan, changes: Values) -> None:
    assert cell_ids(make(**changes)) == cell_ids(make())


def test_moving_the_audio_changes_no_id(make: MakePlan, table: pd.DataFrame) -> None:
    moved = table.assign(audio_path="/elsewhere/" + table["utterance_id"])
    assert cell_ids(make(table=moved)) == cell_ids(make())


@pytest.mark.parametrize(
    "changes",
    [{"features": {"max_frames": 400}}, {"pooling": "mean+std"}, {"dtype": "float16"}],
)
def test_settings_that_affect_activations_change_every_id(make: MakePlan, changes: Values) -> None:
    assert not set(activation_ids(make(**changes))) & set(activation_ids(make()))
    assert not cell_ids(make(**changes)) & cell_ids(make())


def test_different_weights_change_only_the_ids_of_that_model(make: MakePlan) -> None:
    old, new = make(), make(models=infos(a="retrained"))
    assert not set(activation_ids(old)) & set(activation_ids(new))
    assert activation_ids(old, "b") == activation_ids(new, "b")
    assert len(cell_ids(old) & cell_ids(new)) == plan_cells_without(old, "a")


def plan_cells_without(plan: Plan, model: str) -> int:
    return sum(len(task.cells) for task in layer_tasks(plan) if task.model.name != model)


def test_a_changed_recording_re_extracts_only_its_split(
    make: MakePlan, table: pd.DataFrame
) -> None:
    changed = table.copy()
    changed.loc[changed["split"] == "test", "audio_digest"] += " again"
    old, new = activation_ids(make()), activation_ids(make(table=changed))
    assert [a == b for a, b in zip(old, new, strict=True)] == [True, True, False]


def test_a_changed_label_changes_cells_but_no_activations(
    make: MakePlan, table: pd.DataFrame
) -> None:
    new = make(table=table.assign(cps=table["cps"] + 1e-12))
    assert activation_ids(new) == activation_ids(make())
    assert not cell_ids(new) & cell_ids(make())


def test_equal_weights_under_two_names_share_their_activations(make: MakePlan) -> None:
    plan = make(models=infos(a="same", b="same"))
    assert activation_ids(plan, "a") == activation_ids(plan, "b")


def test_a_stale_cell_is_found_with_the_reason(make: MakePlan, table: pd.DataFrame) -> None:
    old = make()
    records = [
        Record(
            cell_id=cell.cell_id, status="done", model=task.model.name, layer=task.layer.name,
            layer_index=0, target=cell.target, probe=cell.probe, seed=cell.seed, fold=cell.fold,
            control=cell.control,
            made_from=made_from(old, task.model, cell.target, cell.probe),
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


def test_another_grouping_of_folds_changes_cells_but_no_activations(
    make: MakePlan, table: pd.DataFrame
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


def test_ids_of_a_protocol_by_speaker_do_not_depend_on_other_groups(
    make: MakePlan, table: pd.DataFrame
) -> None:
    for protocol in ({"kind": "splits"}, {"kind": "kfold", "folds": 3}):
        plan = make(protocol=protocol)
        assert plan.groups is None
        made = made_from(plan, plan.models[0], "cps", "ridge")
        assert made["protocol"] == content_id(plan.protocol.identity())
        assert cell_ids(plan) == cell_ids(make(table.assign(chapter_id="9"), protocol=protocol))


def test_a_target_with_missing_values_changes_no_other_cell(
    make: MakePlan, table: pd.DataFrame
) -> None:
    gaps = table.assign(jitter=table["cps"].where(table.index % 3 != 0))
    more = make(table=gaps, targets=["cps", "jitter"])
    assert cell_ids(make()) < cell_ids(more)
    assert activation_ids(make()) == activation_ids(more)
    filled = gaps.assign(jitter=table["cps"])
    assert make(table=filled, targets=["jitter"]).targets != {"jitter": more.targets["jitter"]}


def with_sex(table: pd.DataFrame) -> pd.DataFrame:
    """Two classes, one of which looks like a number, and an utterance without a class."""
    sex = table["speaker_id"].map(lambda name: "f" if int(name) % 2 else "0084")
    return table.assign(sex=sex.where(table.index != 3, ""))


def mixed(table: pd.DataFrame, **changes: Any) -> dict[str, Any]:
    probes = [{"kind": "ridge"}, {"kind": "mlp", "seeds": 3}, {"kind": "logistic"}]
    return {"table": with_sex(table), "targets": ["cps", "sex"], "probes": probes, **changes}


def test_probes_are_planned_only_for_targets_they_can_predict(
    make: MakePlan, table: pd.DataFrame
) -> None:
    plan = make(**mixed(table))
    assert plan.classes == {"sex": ("0084", "f")}
    pairs = {(cell.target, cell.probe) for task in layer_tasks(plan) for cell in task.cells}
    assert pairs == {("cps", "ridge"), ("cps", "mlp"), ("sex", "logistic")}
    layers, seeds, controls = 2 + 2 + 1 + 1, 1 + 3 + 1, 2
    assert plan.n_cells == len(cell_ids(plan)) == layers * seeds * controls


def test_adding_a_class_target_keeps_the_cells_of_numeric_targets(
    make: MakePlan, table: pd.DataFrame
) -> None:
    both = mixed(table)
    alone = make(probes=both["probes"][:2], targets=["cps"])
    assert alone.classes == {}
    assert cell_ids(alone) < cell_ids(make(**both))


def test_a_plan_with_classes_survives_a_round_trip_and_an_older_plan_is_read(
    make: MakePlan, table: pd.DataFrame
) -> None:
    plan = make(**mixed(table))
    assert Plan.model_validate_json(plan.model_dump_json()) == plan
    old = make().model_dump(mode="json")
    del old["classes"]
    assert cell_ids(Plan.model_validate(old)) == cell_ids(make())


def test_a_changed_class_changes_cells(make: MakePlan, table: pd.DataFrame) -> None:
    one = mixed(table, targets=["sex"], probes=[{"kind": "logistic"}])
    other = {**one, "table": one["table"].assign(sex=one["table"]["sex"].replace("f", "m"))}
    assert not cell_ids(make(**one)) & cell_ids(make(**other))


def test_allowing_a_speaker_in_two_folds_changes_no_cell(
    make: MakePlan, table: pd.DataFrame
) -> None:
    protocol = {"kind": "kfold", "folds": 2}
    allowed = {**protocol, "allow_speaker_overlap": True}
    assert cell_ids(make(protocol=protocol)) == cell_ids(make(protocol=allowed))


def test_the_control_type_adds_cells_that_its_statistics_identify(
    make: MakePlan, table: pd.DataFrame
) -> None:
    old, new = make(controls=["shuffled"]), make(controls=["shuffled", "type"])
    assert cell_ids(old) < cell_ids(new) and len(cell_ids(new)) == new.n_cells
    models = infos()
    models["baseline:fbank"] = info("other statistics", ("statistics",))
    other = make(controls=["shuffled", "type"], models=models)
    of_a = [
        {
            cell.cell_id: cell.control
            for task in layer_tasks(plan)
            for cell in task.cells
            if task.model.name == "a"
        }
        for plan in (new, other)
    ]
    same = of_a[0].keys() & of_a[1].keys()
    assert {of_a[0][name] for name in same} == {"none", "shuffled"}
    assert len(same) == sum(control != "type" for control in of_a[0].values())
