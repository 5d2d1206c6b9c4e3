"""Row 21: size of the report's page, and the time until a browser has painted it.

The run is made up: 4 models of 150 layers, 4 probes, 3 targets, predictions of 1,200 utterances.
"""

import shutil
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from playwright.sync_api import sync_playwright

from jobs.protocol.predictions import CellPredictions
from sweep.report.page import render_page
from sweep.report.page_data.chart import chart_data
from sweep.report.page_data.details import layer_details
from sweep.report.section import Content
from sweep.report.sections import glossary, heatmap, layers, models, residuals
from sweep.state.ledger import Record
from tests.benchmarks.result import Result, Target
from tests.benchmarks.workbench import Workbench
from tests.support.report_data import layer_names, make_layers, make_models

MODELS = tuple((f"network {number}", 150) for number in range(4))
TARGETS, PROBES = ("cps", "f0_mean", "duration"), ("ridge", "mlp", "linear", "knn")
SPEAKERS, OF_EACH = 40, 30
MEGABYTES, SECONDS = 3.0, 1.0


def run(bench: Workbench) -> list[Result]:
    """Size in MB, and seconds from the request to the first painted frame, script included."""
    page = bench.scratch / "report.html"
    page.write_text(_page())
    size = Result(21, "report.html, MB", (page.stat().st_size / 1e6,), Target(MEGABYTES, MEGABYTES))
    chromium = shutil.which("chromium")
    if chromium is None:
        return [size]
    seconds = _seconds(chromium, page, bench.repetitions(full=7))
    return [size, Result(21, "report.html opens, seconds", seconds, Target(SECONDS, SECONDS))]


def _seconds(chromium: str, page: Path, repetitions: int) -> tuple[float, ...]:
    """Time to open ``page`` in a new tab of a browser that has started."""
    found = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        browser.new_page().close()
        for _ in range(repetitions):
            tab = browser.new_page()
            start = time.perf_counter()
            tab.goto(page.as_uri())
            tab.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
            found.append(time.perf_counter() - start)
            tab.close()
        browser.close()
    return tuple(found)


def _page() -> str:
    table = make_layers(models=MODELS, probes=PROBES, targets=TARGETS)
    data = {
        "facts": {"question": "Which layers?", "facts": []},
        "chart": chart_data(table),
        "details": layer_details(_stand_in()),
        "maps": {"models": {}},
    }
    sections = (
        (glossary.SECTION, glossary.content(table)),
        (models.SECTION, models.content(make_models(table), [])),
        (heatmap.SECTION, Content(introduction=heatmap.READING, drawing="heatmap")),
        (residuals.SECTION, Content(introduction=residuals.READING, drawing="errors")),
        (layers.SECTION, layers.content(table)),
    )
    return render_page("big", sections, data)


def _stand_in() -> Any:
    """What the page's data reads of a run."""
    rng = np.random.default_rng(0)
    names = np.array(
        [f"{1000 + s}-{7 * s}-{u:04d}" for s in range(SPEAKERS) for u in range(OF_EACH)]
    )
    truth = rng.normal(12, 3, len(names)).astype(np.float32)
    places = [
        (model, index, layer, target, probe)
        for model, n_layers in MODELS
        for index, layer in enumerate(layer_names(n_layers))
        for target in TARGETS
        for probe in PROBES
    ]
    records = {
        f"{number:016x}": Record(
            cell_id=f"{number:016x}", status="done", model=model, layer=layer, layer_index=index,
            target=target, probe=probe, seed=0, fold=0, control="none",
        )
        for number, (model, index, layer, target, probe) in enumerate(places)
    }  # fmt: skip

    def predictions(cell_id: str) -> CellPredictions:
        guess = truth + rng.normal(0, 2, len(truth)).astype(np.float32)
        return CellPredictions(0, 12.0, names, truth, guess)

    return SimpleNamespace(
        plan=SimpleNamespace(scored_by_sums=False, classes={}),
        records=records,
        cell_predictions=predictions,
        speakers={str(name): str(name).partition("-")[0] for name in names},
    )
