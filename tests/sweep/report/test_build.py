"""A report from the folder of a run, whatever became of its cells."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from jobs.corpus.table import Utterance, make_table, write_table
from jobs.models import ModelInfo
from jobs.models.taps import TapShape
from jobs.protocol.cells import Cell
from jobs.protocol.predictions import CellPredictions, write_predictions
from jobs.statistics import scoring
from jobs.targets.registry import add_targets
from sweep.analyses.base import Analysis, StoredRun
from sweep.plan.make_plan import make_plan
from sweep.plan.plan import LayerTask, layer_tasks
from sweep.report.build import build_report
from sweep.report.section import Content, Section
from sweep.report.sections import SECTIONS, curves
from sweep.report.text.footnotes import footnotes
from sweep.results.run import Run
from sweep.spec.schema import Spec
from sweep.state.ledger import Record, to_line
from sweep.state.run_folder import RunFolder
from tests.conftest import Values
from tests.support.report_data import layer_names

Error = Callable[[LayerTask, Cell], str | None]
"""Why a cell failed; None if it did not."""


def make_corpus() -> pd.DataFrame:
    speakers = {"train": range(3), "validation": range(3, 5), "test": range(5, 10)}
    rows = [
        Utterance(
            f"{speaker}-1-{number}", f"/audio/{speaker}-{number}.flac", "ABC " * (number + 2),
            str(speaker), "1", part, seconds=1.0 + number + speaker / 10,
            n_samples=16_000 * (1 + number) + 1600 * speaker, audio_digest=f"{speaker}-{number}",
        )
        for part, voices in speakers.items() for speaker in voices for number in range(4)
    ]  # fmt: skip
    return add_targets(make_table(rows), ["cps"])


def info(digest: str, names: list[str]) -> ModelInfo:
    taps = tuple(TapShape(i, name, name, (16,), 16) for i, name in enumerate(names))
    return ModelInfo(architecture="net", digest=digest, n_parameters=1, taps=taps)


@pytest.fixture
def make_run(tmp_path: Path, spec_values: Values) -> Callable[..., Run]:
    """A finished run of models ``a`` and ``b``, its cells failing as ``error`` tells."""

    def make(error: Error, n_layers: int = 4, finished: bool = True, **changes: object) -> Run:
        spec = Spec.model_validate({**spec_values, "layers": "all", **changes})
        table = make_corpus()
        names = {model.name: layer_names(n_layers) for model in spec.models}
        names |= {f"baseline:{what}": [what] for what in spec.baselines if what != "mean"}
        plan = make_plan(spec, table, {name: info(name, taps) for name, taps in names.items()})
        n_made = len(list(tmp_path.glob("run*")))
        folder = RunFolder(tmp_path / (f"run{n_made}" if n_made else "run"))
        folder.predictions.mkdir(parents=True)
        folder.spec.write_text(spec.to_yaml())
        folder.plan.write_text(plan.model_dump_json())
        folder.provenance.write_text(json.dumps({}))
        write_table(folder.utterances, table)
        lines = []
        for number, task in enumerate(layer_tasks(plan) if finished else ()):
            lines += _finish(folder, table, task, f"{number}.npz", error)
        folder.ledger.write_text("".join(f"{line}\n" for line in lines))
        return Run.open(folder.root)

    return make


def _finish(
    folder: RunFolder, table: pd.DataFrame, task: LayerTask, file: str, error: Error
) -> list[str]:
    """Ledger lines of a layer's cells, and their predictions."""
    rows = table[table["split"] == "test"]
    y = rows["cps"].to_numpy(dtype=float)
    names, groups = (rows[name].to_numpy(dtype=str) for name in ("utterance_id", "speaker_id"))
    rng = np.random.default_rng(task.layer.index)
    lines, predictions = [], {}
    for cell in task.cells:
        why = error(task, cell)
        y_pred = y + rng.normal(0, 0.2 * y.std(), len(y))
        predictions[cell.cell_id] = CellPredictions(
            cell.fold, 1.0, names, y.astype(np.float32), y_pred.astype(np.float32)
        )
        record = Record(
            cell_id=cell.cell_id, status="failed" if why else "done", error=why,
            model=task.model.name, layer=task.layer.name, layer_index=task.layer.index,
            target=cell.target, probe=cell.probe, seed=cell.seed, fold=cell.fold,
            control=cell.control, n_train=12, n_test=len(y), predictions=file,
            scores={} if why else scoring.score_numbers(y, y_pred, 1.0, groups),
        )  # fmt: skip
        lines.append(to_line(record).decode().rstrip())
    write_predictions(folder.predictions / file, predictions)
    return lines


def tables(run: Run) -> dict[str, str]:
    return {path.name: path.read_text() for path in run.folder.tables.iterdir()}


def test_the_report_is_built_when_every_cell_failed(make_run: Callable[..., Run]) -> None:
    run = make_run(lambda task, cell: "the probe diverged")
    page = build_report(run).read_text()
    assert run.layers.empty and run.models.empty
    assert list(run.folder.plots.glob("*")) == []
    assert "layer0 †" in tables(run)["layers.md"]
    assert 'href="#tab-failures">Failures</a>' in page and 'id="plot"' not in page
    for text in (page, tables(run)["models.md"]):
        assert "32 cells of 4 layers from layer0 to layer3 failed: the probe diverged" in text


def test_a_footnote_names_scores_of_different_utterances(make_run: Callable[..., Run]) -> None:
    run = make_run(lambda task, cell: None)
    assert not any("different numbers" in note for note in footnotes(run))
    next(iter(run.records.values())).n_test -= 1
    [note] = [note for note in footnotes(run) if "different numbers" in note]
    assert note.startswith("cps: ")
    assert "19 or 20" in note


def test_the_report_is_built_when_nothing_is_done(make_run: Callable[..., Run]) -> None:
    run = make_run(lambda task, cell: None, finished=False)
    page = build_report(run).read_text()
    assert f"{run.plan.n_cells} of {run.plan.n_cells} cells are not done yet." in page


def test_the_report_is_built_when_only_baselines_are_done(make_run: Callable[..., Run]) -> None:
    def error(task: LayerTask, cell: Cell) -> str | None:
        return None if task.model.name.startswith("baseline:") else "activations are missing"

    run = make_run(error)
    build_report(run)
    assert set(run.layers["model"]) == {"baseline:duration", "baseline:fbank"}
    assert list(run.folder.plots.glob("*")) == []
    assert "baseline:duration" in tables(run)["models.md"]


def test_failures_in_150_layers_are_one_footnote_that_names_model_and_layers(
    make_run: Callable[..., Run],
) -> None:
    def error(task: LayerTask, cell: Cell) -> str | None:
        bad = task.model.name == "b" and task.layer.index >= 22
        sizes = f"{task.layer.index} values in {task.layer.index} of 70 utterances"
        return f"activations of {task.layer.name}: {sizes} are not finite" if bad else None

    run = make_run(error, n_layers=150, probes=[{"kind": "ridge"}], controls=[])
    notes = list(footnotes(run))
    first = layer_names(150)[22]
    assert notes[0] == (
        f"b: 128 cells of 128 layers from {first} to embedding failed; the first: "
        f"activations of {first}: 22 values in 22 of 70 utterances are not finite"
    )
    assert not any("failed" in note for note in notes[1:])


def test_reasons_beyond_the_most_are_counted(make_run: Callable[..., Run]) -> None:
    def error(task: LayerTask, cell: Cell) -> str | None:
        return "because of " + "x" * (task.layer.index + 1)

    run = make_run(error, n_layers=14, probes=[{"kind": "ridge"}], controls=[], baselines=[])
    failures = [note for note in footnotes(run) if "failed" in note]
    assert len(failures) == 11
    assert failures[-1].startswith("18 more failed cells of 2 models, for 18 other reasons")


def test_a_diverged_seed_marks_its_points_and_names_probe_and_layer(
    make_run: Callable[..., Run],
) -> None:
    def error(task: LayerTask, cell: Cell) -> str | None:
        place = (task.model.name, task.layer.name, cell.probe, cell.seed, cell.control)
        return "diverged" if place == ("a", "layer2", "mlp", 1, "none") else None

    run = make_run(error)
    build_report(run)
    found = tables(run)
    marked = re.findall(r"^\| (\S+) +\| (\S+) +\| +\d+ \| (\S+) † .*\| (.*?) \|$",
                        found["layers.md"], re.M)  # fmt: skip
    assert [(*names, cells.strip()) for *names, cells in marked] == [
        ("a", "mlp", "layer2", "1 of 2")
    ]
    assert "- a, mlp: 1 cell of layer2 failed: diverged" in found["models.md"]
    assert "mlp †" in found["models.md"]


def test_probes_are_known_by_their_kind_and_stand_in_the_order_of_the_spec(
    make_run: Callable[..., Run],
) -> None:
    probes = [{"kind": "mlp", "hidden": [8], "seeds": 2}, {"kind": "cca", "name": "svcca"},
              {"kind": "ridge", "name": "cca"}]  # fmt: skip
    run = make_run(lambda task, cell: None, probes=probes)
    build_report(run)
    assert list(run.models["probe"][:3]) == ["mlp", "svcca", "cca"]
    assert list(run.models["probe_kind"][:3]) == ["mlp", "cca", "ridge"]
    shown = [line.split("|")[2].strip() for line in tables(run)["models.md"].splitlines()[2:6]]
    assert shown == ["mlp", "cca", "mlp", "cca"]
    names = {path.name for path in run.folder.plots.iterdir()}
    assert "cca_cps.png" in names


def test_a_section_from_outside_is_on_the_page_with_its_files_and_its_methods(
    make_run: Callable[..., Run],
) -> None:
    def render(run: Run) -> Content:
        (run.folder.tables / "speakers.csv").write_text("speaker_id\n")
        return Content(introduction="<em>Read</em> this.", notes=["5 < 6 speakers"])

    def sentences(run: Run) -> Iterator[str]:
        yield "Speakers were counted (Hsu 1984)."

    mine = Section("speakers", "Speakers", render, sentences)
    run = make_run(lambda task, cell: None, probes=[{"kind": "ridge"}])
    html = build_report(run, (*SECTIONS, mine)).read_text()
    assert '<a href="#tab-speakers">Speakers</a>' in html and '<h2 id="speakers">' in html
    assert "<em>Read</em> this." in html and "5 &lt; 6 speakers" in html
    assert "Speakers were counted (Hsu 1984)." in run.folder.methods.read_text()
    assert "speakers.csv" in tables(run)


def test_sections_without_content_are_left_out(make_run: Callable[..., Run]) -> None:
    run = make_run(lambda task, cell: None, probes=[{"kind": "ridge"}])
    html = build_report(run).read_text()
    assert 'id="residuals"' in html
    for anchor in ("tempo", "canonical", "similarity"):
        assert f'id="{anchor}"' not in html


def test_figures_of_an_earlier_report_are_removed(make_run: Callable[..., Run]) -> None:
    run = make_run(lambda task, cell: None, probes=[{"kind": "ridge"}])
    narrow = run.folder.plots / "single-column"
    narrow.mkdir(parents=True)
    for end in ("png", "svg", "pdf"):
        (run.folder.plots / f"r2_gone.{end}").write_text("")
        (narrow / f"r2_gone.{end}").write_text("")
    build_report(run, (curves.SECTION,))
    assert (run.folder.plots / "overview_cps.svg").exists()
    assert (narrow / "overview_cps.pdf").exists()
    assert not list(run.folder.plots.rglob("r2_gone.*"))


def test_the_page_links_to_the_figures_that_it_draws_itself(make_run: Callable[..., Run]) -> None:
    run = make_run(lambda task, cell: None, probes=[{"kind": "ridge"}])
    html = build_report(run).read_text()
    figures = sorted(path.name for path in run.folder.plots.iterdir() if path.is_file())
    assert {"overview_cps.png", "overview_cps.svg", "overview_cps.pdf"} <= set(figures)
    assert all(f'<a href="plots/{name}">plots/{name}</a>' in html for name in figures)
    assert "<img" not in html


class Counting(Analysis):
    """An analysis from outside with one table."""

    name = "counting"

    def __init__(self, rows: list[dict[str, object]]) -> None:
        self.rows = rows

    def tables(self, run: StoredRun) -> dict[str, pd.DataFrame]:
        return {"counting": pd.DataFrame(self.rows, columns=["model", "layers"])}


def test_the_tables_of_an_analysis_are_written_and_removed_once_they_are_empty(
    make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    counting = Counting([{"model": "a", "layers": 4}])
    monkeypatch.setattr("sweep.results.run.ANALYSES", (counting,))
    run = make_run(lambda task, cell: None, probes=[{"kind": "ridge"}])
    build_report(run, sections=())
    assert tables(run)["counting.csv"] == "model,layers\na,4\n"
    counting.rows = []
    build_report(Run(run.folder), sections=())
    assert "counting.csv" not in tables(run)
