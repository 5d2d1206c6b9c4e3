"""One new thing of each kind, added in the files that CONTRIBUTING.md names, reaches the report."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from jobs.audio.frames import SAMPLE_RATE

ROOT = Path(__file__).parents[1]

PROBE = '''"""A probe that predicts the median of the training targets."""

from typing import Literal

import numpy as np

from jobs.probes.result import ProbeResult
from jobs.probes.settings import BaseProbeSettings


class MedianSettings(BaseProbeSettings):
    """Predict the median, whatever the activations."""

    kind: Literal["median"] = "median"
    name: str | None = None

    def describe(self, validation):
        return "The median of the training targets was predicted for every utterance."


def fit_predict(settings, X, Y, fold, groups, seeds):
    medians = np.median(Y[fold.train], axis=0)
    predictions = np.tile(medians, (len(fold.test), 1))
    return ProbeResult(predictions, [{} for _ in seeds])
'''
CORPUS = '''"""A corpus of files called SPEAKER-NUMBER.wav in one folder."""

from pathlib import Path
from typing import Literal

from jobs.corpus.csv_settings import CsvSettings
from jobs.corpus.settings import CorpusSettings


class FolderSettings(CorpusSettings):
    """A folder of audio files."""

    kind: Literal["folder"] = "folder"
    folder: Path


def read(settings, cache, progress):
    from jobs.corpus.csv import read_csv

    cache.mkdir(parents=True, exist_ok=True)
    table = cache / "folder.csv"
    files = sorted(settings.folder.absolute().glob("*.wav"))
    rows = [f"{file},{file.stem.split('-')[0]}" for file in files]
    table.write_text("\\n".join(["audio_path,speaker_id", *rows]) + "\\n")
    return read_csv(CsvSettings(path=table), progress)
'''
FAMILY = '''"""A family of one network: a linear layer over log-mel frames."""

from typing import Literal

from jobs.models.family import ModelFamily
from jobs.models.settings import ModelSettings


class LinearNetworkSettings(ModelSettings):
    """A network with random weights."""

    kind: Literal["linear-network"] = "linear-network"
    width: int = 4


def load(settings):
    import torch

    from jobs.audio.features import Fbank
    from jobs.models.model import ProbedModel
    from jobs.models.taps import Tap

    torch.manual_seed(0)
    tap = Tap("projection", "projection", module="", point="output", time_axis=1)
    network = torch.nn.Linear(80, settings.width)
    return ProbedModel("linear-network", {"width": settings.width}, network, (tap,), Fbank)


FAMILY = ModelFamily(settings=LinearNetworkSettings, load=load)
'''
ANALYSIS = '''"""An analysis: how many utterances each speaker has."""

from sweep.analyses.base import Analysis


class _Coverage(Analysis):
    name = "coverage"

    def tables(self, run):
        counts = run.utterances.groupby("speaker_id").size().rename("utterances")
        return {"coverage": counts.reset_index()}


COVERAGE = _Coverage()
'''
SECTION = '''"""A section: how many utterances the run has."""

from sweep.report.section import Content, Section


def _render(run):
    return Content(findings=[f"This run has heard {len(run.utterances)} utterances."])


SECTION = Section("size", "Size of the corpus", _render)
'''
EXECUTOR = '''"""An executor that keeps a diary: jobs in this process, with a line for each."""

from contextlib import nullcontext

from sweep.executors.inline import InlineExecutor


class DiaryExecutor(InlineExecutor):
    """Prints what it runs."""

    def submit(self, job, *, alone=False):
        print(f"diary: {job.title}")
        super().submit(job, alone=alone)


def open_diary(arguments):
    return nullcontext(DiaryExecutor(arguments.compute))
'''
NEW_FILES = {
    "jobs/probes/median.py": PROBE,
    "jobs/corpus/folder.py": CORPUS,
    "jobs/models/linear_network.py": FAMILY,
    "sweep/analyses/coverage.py": ANALYSIS,
    "sweep/report/sections/size.py": SECTION,
    "sweep/executors/diary.py": EXECUTOR,
}
ROWS = {
    "jobs/probes/__init__.py": (
        '    "ridge": ',
        '    "median": Probe(median.MedianSettings, median.fit_predict, REGRESSION),\n'
        '    "ridge": ',
        "from jobs.probes import median\n",
    ),
    "jobs/corpus/__init__.py": (
        '    "csv": CorpusReader(',
        '    "folder": CorpusReader(folder.FolderSettings, folder.read),\n    "csv": CorpusReader(',
        "from jobs.corpus import folder\n",
    ),
    "jobs/models/__init__.py": (
        '    "wespeaker": ',
        '    "linear-network": linear_network.FAMILY,\n    "wespeaker": ',
        "from jobs.models import linear_network\n",
    ),
    "jobs/targets/registry.py": (
        '        Target(\n            name="duration"',
        '        Target(name="centiseconds", unit="cs", kind="regression", description="length",\n'
        '               values=lambda table: 100 * table["seconds"]),\n'
        '        Target(\n            name="duration"',
        "",
    ),
    "sweep/analyses/__init__.py": (
        "ANALYSES: tuple[Analysis, ...] = (",
        "ANALYSES: tuple[Analysis, ...] = (COVERAGE, ",
        "from sweep.analyses.coverage import COVERAGE\n",
    ),
    "sweep/report/sections/__init__.py": (
        "SECTIONS: tuple[Section, ...] = (",
        "SECTIONS: tuple[Section, ...] = (\n    size.SECTION,",
        "from sweep.report.sections import size\n",
    ),
    "jobs/statistics/scores.py": (
        '    RegressionScore(\n        name="mse",',
        '    RegressionScore(\n        name="worst", label="worst error",\n'
        '        definition="The largest absolute error in the test split.",\n'
        '        of_test=lambda test: float(abs(test.y_pred - test.y).max()), unit="target",\n'
        "        higher_is_better=False,\n    ),\n"
        '    RegressionScore(\n        name="mse",',
        "",
    ),
    "sweep/executors/registry.py": (
        '    "local": ',
        '    "diary": ExecutorKind(open_diary),\n    "local": ',
        "from sweep.executors.diary import open_diary\n",
    ),
}
"""File → (text, the same with a row, import)."""
RUN = ("run", "spec.yaml", "--executor", "diary", "--cache", "cache", "--out", "out")


def _import_last(source: str, line: str) -> str:
    """Add an import after the last one of the module's head."""
    at = source.rindex("\nfrom ")
    end = source.index("\n", at + 1)
    while source[at:end].count("(") > source[at:end].count(")"):
        end = source.index("\n", end + 1)
    return f"{source[: end + 1]}{line}{source[end + 1 :]}"


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the two packages with one new thing of each kind, and a run that uses all."""
    home = tmp_path_factory.mktemp("extended")
    for package in ("jobs", "sweep"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, home / package, ignore=ignored)
    for name, text in NEW_FILES.items():
        (home / name).write_text(text)
    for name, (old, new, imported) in ROWS.items():
        source = (home / name).read_text()
        assert source.count(old) == 1, name
        source = source.replace(old, new)
        (home / name).write_text(_import_last(source, imported) if imported else source)
    work = home / "work"
    (work / "audio").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for speaker in ("ann", "ben", "cem", "dag", "eva", "fay"):
        for number in range(3):
            samples = 0.1 * rng.standard_normal(int(rng.uniform(0.5, 1.5) * SAMPLE_RATE))
            soundfile.write(work / f"audio/{speaker}-{number}.wav", samples, SAMPLE_RATE)
    spec = {
        "name": "extended",
        "corpus": {"kind": "folder", "folder": "audio"},
        "targets": ["centiseconds"],
        "models": [{"name": "mine", "kind": "linear-network"}],
        "probes": [{"kind": "median"}, {"kind": "ridge"}],
        "protocol": {"kind": "kfold", "folds": 3},
        "bootstrap": {"resamples": 100},
    }
    (work / "spec.yaml").write_text(yaml.safe_dump(spec))
    done = subprocess.run(
        [sys.executable, "-m", "sweep", *RUN],
        cwd=work, env={**os.environ, "PYTHONPATH": str(home)},
        capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    (work / "stdout").write_text(done.stdout)
    assert done.returncode == 0, done.stderr
    return work


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_a_run_of_all_new_kinds_is_done(extended: Path) -> None:
    lines = (extended / "out/ledger.jsonl").read_text().splitlines()
    assert {json.loads(line)["status"] for line in lines} == {"done"}


def test_the_new_executor_ran_every_job(extended: Path) -> None:
    diary = [line for line in (extended / "stdout").read_text().splitlines() if "diary:" in line]
    assert "diary: mine / projection" in diary


def test_the_new_probe_predicts_the_new_target_of_the_new_corpus(extended: Path) -> None:
    rows = _rows(extended / "out/tables/layers.csv")
    mine = [row for row in rows if row["model"] == "mine"]
    assert {(row["target"], row["probe"], row["layer"]) for row in mine} == {
        ("centiseconds", "median", "projection"),
        ("centiseconds", "ridge", "projection"),
    }
    utterances = _rows(extended / "out/utterances.csv")
    assert len(utterances) == 18
    assert all(
        float(row["centiseconds"]) == pytest.approx(100 * float(row["seconds"]), rel=1e-6)
        for row in utterances
    )


def test_the_new_statistic_is_a_column_of_the_tables_and_in_the_glossary(extended: Path) -> None:
    for table in ("metrics.csv", "layers.csv"):
        values = [row["worst"] for row in _rows(extended / "out/tables" / table) if row["worst"]]
        assert all(float(value) >= 0 for value in values)  # the duration alone predicts the target
        assert any(float(value) > 0 for value in values)
    assert "| Worst error |" in (extended / "out/tables/layers.md").read_text()
    assert (
        "The largest absolute error in the test split."
        in (extended / "out/report.html").read_text()
    )


def test_the_new_analysis_and_the_new_section_reach_the_report(extended: Path) -> None:
    table = _rows(extended / "out/tables/coverage.csv")
    assert {row["utterances"] for row in table} == {"3"}
    page = (extended / "out/report.html").read_text()
    assert "Size of the corpus" in page
    assert "This run has heard 18 utterances." in page


def test_the_methods_text_describes_the_new_probe_in_its_own_words(extended: Path) -> None:
    methods = (extended / "out/report/methods.md").read_text()
    assert "The median of the training targets was predicted for every utterance." in methods
