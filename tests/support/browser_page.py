"""A page with everything that the script of ``report.html`` can draw, without a run on disk."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np

from jobs.protocol.predictions import CellPredictions
from sweep.report.page import render_page
from sweep.report.page_data.chart import chart_data
from sweep.report.page_data.details import layer_details
from sweep.report.page_data.encode import packed
from sweep.report.section import Content, Document, Section
from sweep.report.sections import glossary, heatmap, layers, models, provenance, residuals
from sweep.report.tables.cells import number, text
from sweep.report.tables.markup import Table
from sweep.state.ledger import Record
from tests.support.report_data import layer_names, make_layers, make_models

EVIL = "<img src=x onerror=\"document.title='owned'\"> & 'co'"
"""Name of a model that would run, if it were ever taken for HTML."""
MODELS = (("net", 51), (EVIL, 51))
SPEAKERS, OF_EACH = 8, 5
CLASSES = ("F", "M")
RIGHT, WRONG = 30, 10
"""Predictions of the class ``sex`` by every layer, of 40."""
ROWS = (("one | two", "0.10"), ("a_b & 5 %", "0.20"), ('said "x, y"', "0.15"))


def predictions_of(layer, is_class, rng):
    """Predictions of 40 utterances: better, the deeper the layer; of classes, 30 are right."""
    names = np.array([f"s{s}-u{u}" for s in range(SPEAKERS) for u in range(OF_EACH)])
    if is_class:
        truth = np.arange(len(names)) % 2
        guess = np.where(np.arange(len(names)) < RIGHT, truth, 1 - truth)
    else:
        truth = np.linspace(8, 20, len(names))
        guess = truth + rng.normal(0, 4 - 3 * layer / 51, len(names))
    return CellPredictions(0, 12.0, names, truth.astype(np.float32), guess.astype(np.float32))


def stand_in_run():
    """What `layer_details` reads of a run."""
    rng = np.random.default_rng(0)
    records, cells = {}, {}
    for model, n_layers in MODELS:
        for index, layer in enumerate(layer_names(n_layers)):
            for target, probe in (("cps", "ridge"), ("cps", "mlp"), ("sex", "logistic")):
                name = f"{len(records):016x}"
                records[name] = Record(
                    cell_id=name, status="done", model=model, layer=layer, layer_index=index,
                    target=target, probe=probe, seed=0, fold=0, control="none",
                )  # fmt: skip
                cells[name] = predictions_of(index, target == "sex", rng)
    plan = SimpleNamespace(scored_by_sums=False, classes={"sex": CLASSES})
    names = next(iter(cells.values())).utterance_id.tolist()
    return SimpleNamespace(
        plan=plan,
        records=records,
        cell_predictions=cells.__getitem__,
        speakers={name: name.partition("-")[0] for name in names},
    )


def maps_of(ids):
    """A map of the embedding of ``net``."""
    places = np.linspace(-1, 1, len(ids))
    found = {"layer": "embedding", "share": [0.5, 0.25]}
    found |= {"x": packed(places, -1, 1), "y": packed(places**2, -1, 1)}
    values = {"cps": places.tolist(), "sex": [CLASSES[at % 2] for at in range(len(ids))]}
    speakers = [name.partition("-")[0] for name in ids]
    return {"ids": ids, "speaker": speakers, "values": values, "models": {"net": found}}


def table_with_marks():
    """A table whose texts have a meaning in CSV, Markdown and LaTeX."""
    rows = tuple((text(name), number(float(value), 2)) for name, value in ROWS)
    return Table(("Name", "Value"), (False, True), rows)


def write_page(folder: Path) -> Path:
    """Write ``report.html`` into ``folder``."""
    table = make_layers(models=MODELS, probes=("ridge", "mlp"), classes=("sex",))
    details = layer_details(stand_in_run())
    data = {
        "facts": {"question": "Which layers?", "facts": [("Cells", "306 done")]},
        "chart": chart_data(table, (("net", EVIL),), {("net", "stem"): 64}),
        "details": details,
        "maps": maps_of(details["targets"]["cps"]["ids"]),
    }
    sections = (
        (Section("top", "Top", lambda run: None, place="top"), Content(headlines=["1", EVIL])),
        (glossary.SECTION, glossary.content(table)),
        (models.SECTION, models.content(make_models(table), [EVIL])),
        (heatmap.SECTION, Content(introduction=heatmap.READING, drawing="heatmap")),
        (residuals.SECTION, Content(introduction=residuals.READING, drawing="errors")),
        (Section("marks", "Marks", lambda run: None), Content(tables=[table_with_marks()])),
        (layers.SECTION, layers.content(table)),
        (
            Section("methods", "Methods", lambda run: None),
            Content(documents=[Document("methods.md", "Probes were <fitted>.", prose=True)]),
        ),
        (provenance.SECTION, provenance.content({"runs": [{"arguments": ["run", EVIL]}]}, "a: 1")),
    )  # fmt: skip
    path = folder / "report.html"
    path.write_text(render_page("made up", sections, data, [("spec.yaml", "spec.yaml")]))
    return path
