"""A run of seconds: noise as audio, two linear layers as a network, no Ray and no figures."""

import csv
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from click.testing import Result
from typer.testing import CliRunner

from sweep.commands.app import app
from sweep.state.run_folder import RunFolder
from tests.support.no_figures import draw_nothing

NETWORK = """import torch
def build():
    return torch.nn.Sequential(torch.nn.Linear(80, 4), torch.nn.ReLU())
"""
SPEC = {
    "name": "tiny",
    "corpus": {"kind": "csv", "path": "corpus.csv"},
    "targets": ["energy"],
    "models": [{"name": "b", "kind": "python", "factory": "tiny_run_network:build",
                "input": "fbank", "taps": ["0", "1"], "time_axis": 1}],
    "probes": [{"kind": "ridge"}],
    "bootstrap": {"resamples": 100},
    "save_probes": True,
}  # fmt: skip


@dataclass(frozen=True)
class TinyRun:
    """A spec with its corpus, in the working directory, and what a run of it writes."""

    home: Path

    @property
    def folder(self) -> RunFolder:
        """The run."""
        return RunFolder(self.home / "run")

    @property
    def cache(self) -> Path:
        """Its cache."""
        return self.home / "cache"

    def sweep(self, *arguments: str) -> Result:
        """Call the command line in this process."""
        return CliRunner().invoke(app, list(arguments))

    def run(self, *more: str) -> Result:
        """Run the spec."""
        return self.sweep(
            "run", "spec.yaml", "--inline", "--out", "run", "--cache", "cache",
            "--display", "none", *more,
        )  # fmt: skip

    def tables(self) -> dict[str, object]:
        """All tables as text; how long a cell took is not a result."""
        found: dict[str, object] = {
            path.name: path.read_bytes() for path in sorted(self.folder.tables.glob("*.csv"))
        }
        with (self.folder.tables / "metrics.csv").open(newline="") as file:
            found["metrics.csv"] = [row | {"seconds": ""} for row in csv.DictReader(file)]
        return found

    def save(self) -> None:
        """Keep a copy of the run and its cache."""
        for name in ("run", "cache"):
            shutil.copytree(self.home / name, self.home / "saved" / name)

    def restore(self) -> None:
        """Put the copy back."""
        for name in ("run", "cache"):
            shutil.rmtree(self.home / name, ignore_errors=True)
            shutil.copytree(self.home / "saved" / name, self.home / name)


@contextmanager
def tiny_run(home: Path) -> Iterator[TinyRun]:
    """Make the spec and its corpus, which becomes the working directory."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "tiny_run_network.py").write_text(NETWORK)
    (home / "wav").mkdir()
    random = np.random.default_rng(0)
    with (home / "corpus.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["audio_path", "speaker_id", "split", "text"])
        for split in ("train", "validation", "test"):
            for number in range(12):
                name = f"wav/{split}{number}.wav"
                level = 0.02 * (1 + number)
                soundfile.write(home / name, random.normal(size=8000) * level, 16000)
                rows.writerow([name, f"{split}{number // 3}", split, "SOME TEXT"])
    (home / "spec.yaml").write_text(yaml.safe_dump(SPEC, sort_keys=False))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        draw_nothing(patch)
        yield TinyRun(home)
