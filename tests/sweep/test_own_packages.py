"""A user's own `jobs` and `sweep` beside the spec: this project's are imported, everywhere."""

import csv
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from sweep.commands.submit_job import build_wheel
from sweep.own_packages import ROOT

SWEEP = str(Path(sys.executable).with_name("sweep"))
MODULE = [sys.executable, "-m", "sweep"]
HOSTILE = "raise SystemExit(f'imported in place of this project: {__name__}')\n"
NETWORK = """
import torch

class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = torch.nn.Linear(80, 8)

    def forward(self, x):
        return self.hidden(x).mean(1)

def build():
    return Network()
"""


@pytest.fixture
def project(tmp_path):
    """A project of a user's: a corpus, a network, a spec, and files with this project's names."""
    (tmp_path / "jobs").mkdir()
    for name in ("jobs/__init__.py", "sweep.py"):
        (tmp_path / name).write_text(HOSTILE)
    (tmp_path / "network.py").write_text(NETWORK)
    rng = np.random.default_rng(0)
    with (tmp_path / "corpus.csv").open("w") as file:
        table = csv.writer(file)
        table.writerow(["audio_path", "speaker_id", "split", "text"])
        for utterance in range(18):
            audio = tmp_path / f"{utterance}.wav"
            soundfile.write(audio, 0.1 * rng.standard_normal(8000 + 500 * utterance), 16_000)
            split = ("train", "validation", "test")[utterance % 3]
            table.writerow([audio, f"s{utterance % 9}", split, "word " * (1 + utterance % 4)])
    spec = {
        "name": "own",
        "corpus": {"kind": "csv", "path": "corpus.csv"},
        "targets": ["cps"],
        "models": [
            {"name": "net", "kind": "python", "factory": "network:build", "input": "fbank",
             "taps": ["hidden"]},
        ],
        "layers": "all",
        "probes": [{"kind": "ridge"}],
        "baselines": ["mean"],
        "bootstrap": {"resamples": 100},
    }  # fmt: skip
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(spec))
    return tmp_path


@pytest.fixture(scope="module")
def unpacked_wheel(tmp_path_factory):
    """What pip puts into site-packages."""
    folder = tmp_path_factory.mktemp("wheel")
    with zipfile.ZipFile(build_wheel(folder)) as wheel:
        wheel.extractall(folder / "installed")
    return folder / "installed"


def call(command, cwd, **environment):
    return subprocess.run(
        command, cwd=cwd, env={**os.environ, **environment},
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip


def check_run(project, command, **environment):
    options = ["--local", "--display", "plain", "--out", "run", "--cache", "cache"]
    done = call([*command, "run", "spec.yaml", *options], project, **environment)
    assert done.returncode == 0, done.stderr
    assert "0 failed" in done.stdout + done.stderr


def test_drivers_and_workers_of_a_checkout_take_no_module_of_the_users_for_their_own(project):
    check_run(project, [SWEEP])


def test_drivers_and_workers_of_a_wheel_take_no_module_of_the_users_for_their_own(
    project, unpacked_wheel
):
    check_run(project, [SWEEP], PYTHONPATH=str(unpacked_wheel))


def test_python_m_and_its_workers_pass_by_a_users_jobs_in_the_search_path(project):
    (project / "sweep.py").unlink()  # which Python itself would run
    path = [str(project), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    check_run(project, MODULE, PYTHONPATH=os.pathsep.join(filter(None, path)))


def test_a_wheel_holds_every_file_of_both_packages_but_their_readmes(unpacked_wheel):
    files = [path for name in ("jobs", "sweep") for path in (ROOT / name).rglob("*")]
    ours = {
        str(path.relative_to(ROOT))
        for path in files
        if path.is_file() and path.parent.name != "__pycache__" and path.name != "README.md"
    }
    assert {"sweep/py.typed", "jobs/py.typed"} <= ours
    assert any(name.endswith("/avg_model.pt") for name in ours)
    missing = [name for name in ours if not (unpacked_wheel / name).is_file()]
    assert missing == []


@pytest.mark.parametrize("name", ["jobs.py", "jobs/__init__.py"])
def test_a_notebook_beside_a_users_jobs_imports_sweep(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(HOSTILE)
    program = "import sweep, jobs.identity; print(jobs.__path__[0])"
    done = call([sys.executable, "-c", program], tmp_path)
    assert done.stdout.strip() == str(ROOT / "jobs"), done.stderr


def test_a_process_that_has_imported_another_jobs_is_told_whose_name_it_is(tmp_path):
    (tmp_path / "jobs.py").write_text("")
    done = call([sys.executable, "-c", "import jobs, sweep"], tmp_path)
    assert done.returncode == 1
    assert "sweep needs its own package jobs" in done.stderr
    assert f"{tmp_path / 'jobs.py'} is already imported under that name" in done.stderr


def test_a_factory_in_a_package_of_this_projects_name_is_refused_at_its_line(project):
    (project / "jobs" / "__init__.py").write_text("")
    (project / "jobs" / "net.py").write_text(NETWORK)
    spec = project / "spec.yaml"
    spec.write_text(spec.read_text().replace("network:build", "jobs.net:build"))
    done = call([SWEEP, "validate", "spec.yaml"], project)
    assert done.returncode == 2
    line = 1 + spec.read_text().splitlines().index("- factory: jobs.net:build")
    assert f"spec.yaml:{line}:" in done.stderr
    assert "the names jobs and sweep are taken by this project's own packages" in done.stderr


def test_a_factory_that_imports_a_users_jobs_is_refused_with_whose_name_it_is(project):
    (project / "jobs" / "__init__.py").write_text("")
    (project / "jobs" / "net.py").write_text(NETWORK)
    (project / "network.py").write_text("from jobs.net import build")
    done = call([SWEEP, "validate", "spec.yaml"], project)
    assert done.returncode == 2
    assert "No module named 'jobs.net'" in done.stderr
    assert "the names jobs and sweep are taken by this project's own packages" in done.stderr
