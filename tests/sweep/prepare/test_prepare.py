import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from sweep.errors import SpecError
from sweep.plan.plan import layer_tasks
from sweep.prepare.prepare import Prepared, load_and_prepare, prepare
from sweep.spec.loading import read_spec
from tests.conftest import Values

Prepare = Callable[[Values], Prepared]


@pytest.fixture
def prepare_values(write_spec: Callable[[Values], Path], cache: Path) -> Prepare:
    def run(values: Values) -> Prepared:
        return load_and_prepare(write_spec(values), [], cache)

    return run


def problems(prepare_values: Prepare, values: Values) -> list[str]:
    with pytest.raises(SpecError) as error:
        prepare_values(values)
    return [re.sub(r"^.*/spec.yaml", "spec.yaml", str(p)) for p in error.value.problems]


def test_a_valid_spec_becomes_a_table_and_a_plan(
    prepare_values: Prepare, spec_values: Values
) -> None:
    prepared = prepare_values(spec_values)
    assert len(prepared.table) == 14 * 5
    assert prepared.table["cps"].notna().all()
    assert [model.name for model in prepared.plan.models] == [
        "a", "b", "baseline:duration", "baseline:fbank",
    ]  # fmt: skip
    assert [layer.name for layer in prepared.plan.models[0].layers] == [
        "stem", "layer2.0.relu2", "layer2.1.relu2", "layer2.2.relu2", "layer2.3.relu2",
        "pooling", "embedding",
    ]  # fmt: skip


def test_only_the_parts_that_the_protocol_uses_are_extracted(
    prepare_values: Prepare, spec_values: Values
) -> None:
    spec_values["protocol"] = {"kind": "splits", "validation": None}
    prepared = prepare_values(spec_values)
    assert set(prepared.table["split"]) == {"train", "test"}
    assert {s.split for model in prepared.plan.models for s in model.sets} == {"train", "test"}


def test_kfold_pools_all_parts(prepare_values: Prepare, spec_values: Values) -> None:
    spec_values["protocol"] = {"kind": "kfold", "folds": 7}
    plan = prepare_values(spec_values).plan
    assert {cell.fold for task in layer_tasks(plan) for cell in task.cells} == set(range(7))


def test_every_problem_of_meaning_comes_at_once(
    prepare_values: Prepare, spec_values: Values
) -> None:
    spec_values["targets"] = ["cps", "cpss"]
    spec_values["probes"] = [{"kind": "ridge"}, {"kind": "ridge"}]
    spec_values["models"].append({"name": "c", "kind": "wespeaker", "checkpoint": "/nowhere"})
    spec_values["protocol"] = {"kind": "kfold", "folds": 50}
    found = "\n".join(problems(prepare_values, spec_values))
    for expected in (
        r"spec\.yaml:\d+:3: no target 'cpss'.*did you mean 'cps'",
        r"spec\.yaml:\d+:3: probes: the name 'ridge' is used twice",
        r"spec\.yaml:\d+:3: c: no /nowhere/config\.yaml: found no such folder",
        r"spec\.yaml:\d+:3: 50 folds need as many values of speaker_id, but the corpus has 14",
    ):
        assert re.search(expected, found), f"{expected} not in\n{found}"


def test_a_layer_pattern_that_matches_nothing_anywhere_is_an_error(
    prepare_values: Prepare, spec_values: Values
) -> None:
    spec_values["layers"] = ["stem", "layer9.*", 99]
    unmatched, absent = problems(prepare_values, spec_values)
    assert "a: layer pattern 'layer9.*' matches none of 51 layers; nearest: layer" in unmatched
    assert "a: layer 99 does not exist: expected a position from -51 to 50" in absent


def test_a_corpus_that_is_not_there_is_an_error_at_its_place(
    prepare_values: Prepare, spec_values: Values, tmp_path: Path
) -> None:
    spec_values["corpus"] = {
        "kind": "librispeech",
        "root": str(tmp_path / "none"),
        "splits": {"train": "a", "test": "b"},
    }
    [problem] = problems(prepare_values, spec_values)
    assert re.match(r"spec\.yaml:3:3: .*none", problem), problem


def test_a_speaker_in_two_parts_is_an_error_unless_the_spec_allows_it(
    prepare_values: Prepare, spec_values: Values, cache: Path, tmp_path: Path
) -> None:
    made = prepare_values(spec_values)
    root = Path(made.table["audio_path"].iloc[0]).parents[3]
    shutil.copytree(root, tmp_path / "corpus")
    flac = next((tmp_path / "corpus" / "train").rglob("*.flac"))
    speaker = flac.name.partition("-")[0]
    chapter = tmp_path / "corpus" / "test" / speaker / "9"
    chapter.mkdir(parents=True)
    shutil.copy(flac, chapter / f"{speaker}-9-0000.flac")
    (chapter / f"{speaker}-9.trans.txt").write_text(f"{speaker}-9-0000 AGAIN\n")
    spec_values["corpus"] = {
        "kind": "librispeech",
        "root": str(tmp_path / "corpus"),
        "splits": {part: part for part in ("train", "validation", "test")},
    }
    [problem] = problems(prepare_values, spec_values)
    assert "1 speakers are in more than one split" in problem
    assert "split by speaker" in problem
    spec_values["protocol"] = {"kind": "splits", "allow_speaker_overlap": True}
    assert len(prepare_values(spec_values).table) == 14 * 5 + 1


def test_problems_of_form_do_not_hide_those_of_meaning(
    spec_values: Values, write_spec: Callable[[Values], Path], cache: Path
) -> None:
    spec_values["poling"] = "mean"
    spec_values["targets"] = ["cps", "cpz"]
    spec_values["models"] = [
        {"name": "wrong form", "kind": "wespeaker", "checkpont": "nowhere"},
        spec_values["models"][0],
        {"name": "wrong meaning", "kind": "wespeaker", "checkpoint": "nowhere"},
    ]
    spec_values["probes"] = [{"kind": "mlp", "hiden": [3]}]
    path = write_spec(spec_values)
    with pytest.raises(SpecError) as error:
        load_and_prepare(path, [], cache)
    lines = path.read_text().splitlines()
    found = [(lines[p.line - 1][p.column - 1 :], p.message) for p in error.value.problems]
    for at, message in (
        ("poling", "unknown key 'poling'; did you mean 'pooling'?"),
        ("checkpont", "unknown key 'checkpont'; did you mean 'checkpoint'?"),
        ("hiden", "unknown key 'hiden'; did you mean 'hidden'?"),
        ("cpz", "no target 'cpz'"),
        ("name: wrong meaning", "wrong meaning: no nowhere/config.yaml"),
    ):
        assert any(a.startswith(at) and m.startswith(message) for a, m in found), (at, found)


def test_a_target_and_a_probe_that_go_with_nothing_are_errors_at_their_places(
    spec_values: Values, write_spec: Callable[[Values], Path], cache: Path
) -> None:
    spec_values["targets"] = ["cps", "sex"]
    path = write_spec(spec_values)
    with pytest.raises(SpecError) as error:
        load_and_prepare(path, [], cache)
    [problem] = error.value.problems
    assert path.read_text().splitlines()[problem.line - 1].strip() == "- sex"
    assert problem.message.startswith(
        "the values of sex are classes, which none of the probes can predict (ridge, mlp, cca): "
        "add a probe of kind "
    )
    assert "logistic" in problem.message
    spec_values["targets"] = ["cps"]
    spec_values["probes"] = [{"kind": "ridge"}, {"kind": "logistic", "name": "who"}]
    path = write_spec(spec_values)
    with pytest.raises(SpecError) as error:
        load_and_prepare(path, [], cache)
    [problem] = error.value.problems
    assert path.read_text().splitlines()[problem.line - 1].strip() == "- kind: logistic"
    assert problem.message.startswith("who predicts classes, which none of the targets has")


def test_a_probe_that_cannot_be_read_does_not_leave_its_targets_alone(
    spec_values: Values, write_spec: Callable[[Values], Path], cache: Path
) -> None:
    spec_values["targets"] = ["cps", "sex"]
    spec_values["probes"] = [{"kind": "ridge"}, {"kind": "logistic", "alpha": 1}]
    with pytest.raises(SpecError) as error:
        load_and_prepare(write_spec(spec_values), [], cache)
    [problem] = error.value.problems
    assert problem.message.startswith("unknown key 'alpha'")


def test_speakers_have_to_be_trained_on_to_be_told_apart(
    prepare_values: Prepare, spec_values: Values
) -> None:
    spec_values["targets"], spec_values["probes"] = ["speaker"], [{"kind": "logistic"}]
    [problem] = problems(prepare_values, spec_values)
    assert re.match(
        r"spec\.yaml:\d+:3: speaker: none of the classes in the test split is in", problem
    )
    assert problem.endswith(
        "give this target a protocol of its own, protocols: {speaker: {kind: kfold, folds: 5, "
        "group: utterance_id, allow_speaker_overlap: true}}"
    )
    overlap = {"kind": "kfold", "group": "utterance_id", "allow_speaker_overlap": True}
    spec_values["protocol"] = overlap
    prepared = prepare_values(spec_values)
    assert prepared.plan.classes["speaker"] == tuple(sorted(set(prepared.table["speaker_id"])))
    assert prepared.plan.n_cells == (7 + 7 + 2) * 5 * 2
    spec_values["protocol"] = {**overlap, "allow_speaker_overlap": False}
    [problem] = problems(prepare_values, spec_values)
    assert "14 speakers are in more than one fold" in problem


def test_the_line_that_an_error_proposes_lets_speakers_be_probed_beside_a_rate(
    prepare_values: Prepare, spec_values: Values
) -> None:
    spec_values |= {"targets": ["cps", "speaker"], "baselines": ["mean"]}
    spec_values["probes"] = [{"kind": "ridge"}, {"kind": "logistic"}]
    [problem] = problems(prepare_values, spec_values)
    proposed = yaml.safe_load(problem[problem.index("protocols: {") :])
    prepared = prepare_values(spec_values | proposed)
    alone = prepare_values({**spec_values, "targets": ["cps"], "probes": [{"kind": "ridge"}]})
    cells = [cell for task in layer_tasks(prepared.plan) for cell in task.cells]
    of_cps = {cell.cell_id for cell in cells if cell.target == "cps"}
    assert of_cps == {cell.cell_id for task in layer_tasks(alone.plan) for cell in task.cells}
    assert {cell.fold for cell in cells if cell.target == "speaker"} == set(range(5))
    assert len(cells) == prepared.plan.n_cells


@pytest.mark.parametrize(
    ("protocols", "expected"),
    [
        (
            {"speakr": {"kind": "kfold"}},
            "protocols: 'speakr' is none of the targets; did you mean 'speaker'?",
        ),
        (
            {"speaker": {"kind": "kfold", "group": "utterance_id"}},
            "speaker: 14 speakers are in more than one fold (first: ",
        ),
        ({"speaker": {"kind": "kfold", "folds": 99}}, "speaker: 99 folds need as many values"),
        ({"speaker": {"kind": "kfold", "fold": 9}}, "unknown key 'fold'; did you mean 'folds'"),
        ({"speaker": {"kind": "fold"}}, "unknown kind 'fold'; did you mean 'kfold'?"),
    ],
)
def test_a_wrong_protocol_of_one_target_is_told_at_its_place(
    prepare_values: Prepare, spec_values: Values, protocols: Values, expected: str
) -> None:
    spec_values |= {"targets": ["cps", "speaker"], "baselines": ["mean"], "protocols": protocols}
    spec_values["probes"] = [{"kind": "ridge"}, {"kind": "logistic"}]
    found = problems(prepare_values, spec_values)
    assert any(expected in problem for problem in found), found


def csv_corpus(prepared: Prepared, path: Path, **columns: object) -> Values:
    kept = ["audio_path", "speaker_id", "chapter_id", "split", "text"]
    prepared.table[kept].assign(**columns).to_csv(path, index=False)
    return {"kind": "csv", "path": str(path)}


def test_classes_that_are_not_trained_on_are_counted_or_refused(
    prepare_values: Prepare, spec_values: Values, tmp_path: Path
) -> None:
    made = prepare_values({**spec_values, "baselines": ["mean"]})
    split = made.table["split"]
    spec_values["targets"], spec_values["probes"] = ["accent"], [{"kind": "logistic"}]

    def with_accents(accent: pd.Series) -> Values:
        corpus = csv_corpus(made, tmp_path / "corpus.csv", accent=accent)
        return {**spec_values, "corpus": corpus}

    plain = pd.Series(["north", "south"] * 35)
    prepared = prepare_values(with_accents(plain.where(plain.index % 7 > 0, "")))
    assert prepared.notes == (
        "10 of 70 utterances have no value of the target accent: left out of its probes",
    )
    rare = plain.copy()
    rare[np.flatnonzero(split == "test")[:3]] = "west"
    assert prepare_values(with_accents(rare)).notes == (
        "3 of 20 test utterances have a class of the target accent that is not in the training "
        "split: no probe can predict it, so they count as errors",
    )
    [problem] = problems(prepare_values, with_accents(plain.where(split != "train", "north")))
    assert "accent: the training split has only the class 'north': expected at least two" in problem
    [problem] = problems(prepare_values, with_accents(plain + split.eq("test").map(str)))
    assert "add utterances of these classes to the training split" in problem


def test_a_target_without_spread_is_told(
    spec_values: Values, write_spec: Callable[[Values], Path], cache: Path
) -> None:
    spec_values |= {"targets": ["cps", "pause_ratio"]}
    prepared = load_and_prepare(write_spec(spec_values), (), cache)
    (note,) = [note for note in prepared.notes if "the same" in note]
    assert note.startswith("all utterances have the same pause_ratio, 0.0")


def test_without_measuring_all_else_is_checked(
    write_spec: Callable[[Values], Path],
    spec_values: Values,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def measured(*arguments: object) -> None:
        raise AssertionError("the audio was measured")

    monkeypatch.setattr("jobs.targets.registry.measure", measured)
    spec_values["targets"] = ["cps", "energy"]
    prepared = prepare(read_spec(write_spec(spec_values)), cache, measure=False)
    assert prepared.unmeasured == ("energy",)
    assert prepared.table["energy"].isna().all()
    assert prepared.plan.n_cells > 0
    assert not any("energy" in note for note in prepared.notes)


def test_folds_and_classes_are_checked_before_the_audio_is_measured(
    prepare_values: Prepare, spec_values: Values, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measured(*arguments: object) -> None:
        raise AssertionError("the audio was measured")

    monkeypatch.setattr("jobs.targets.registry.measure", measured)
    spec_values["targets"] = ["energy", "speaker"]
    spec_values["probes"] = [{"kind": "ridge"}, {"kind": "knn"}]
    assert any("a protocol of its own" in one for one in problems(prepare_values, spec_values))


def test_a_probe_that_needs_more_rows_than_there_are_is_refused(
    prepare_values: Prepare, spec_values: Values
) -> None:
    spec_values["probes"] = [{"kind": "knn", "k": [31]}]
    assert any("at least 31 training" in one for one in problems(prepare_values, spec_values))
    spec_values["probes"] = [{"kind": "knn", "k": [30, 31]}]
    prepare_values(spec_values)
