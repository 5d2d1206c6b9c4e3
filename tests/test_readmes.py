"""Every command and every spec of the READMEs does what they say, as typed."""

import csv
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from jobs.audio.frames import SAMPLE_RATE

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
READMES = sorted(
    path
    for path in [*ROOT.glob("*.md"), *ROOT.glob("*/**/README.md")]
    if not path.is_relative_to(ROOT / ".venv") and not path.is_relative_to(ROOT / "results/demo")
)
COMMANDS_OF_PIP = re.compile(r"pip install (?:--no-deps )?'?(?:\.|probing-sweep)\[([\w,]+)\]'?")


def blocks(path: Path, language: str) -> list[str]:
    """The fenced blocks of a language, as they stand."""
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL)


def commands(path: Path) -> Iterator[str]:
    """Lines of the shell blocks, without their comments."""
    for block in blocks(path, "sh"):
        for line in block.splitlines():
            command = re.sub(r"\s+#.*", "", line).strip()
            if command and not command.startswith("#"):
                yield command


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command line in ``folder`` with the interpreter's own commands first on the path."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "SWEEP_CACHE": str(folder / "cache"),
    }
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=1800,
    )  # fmt: skip


def write_recordings(folder: Path, columns: list[str]) -> None:
    """Fifteen recordings of five speakers, noise of a level that depends on mood and rating."""
    rng = np.random.default_rng(0)
    (folder / "recordings").mkdir()
    rows = []
    for speaker in ("ann", "ben", "cem", "dag", "eva"):
        for number, mood in enumerate(("calm", "angry", "calm"), start=1):
            path = f"recordings/{speaker}-{number}.wav"
            level = 0.3 if mood == "angry" else 0.05
            samples = level * rng.standard_normal(int(rng.uniform(0.6, 1.0) * SAMPLE_RATE))
            soundfile.write(folder / path, samples.clip(-1, 1), SAMPLE_RATE)
            rating = round(10 * level + rng.uniform(0, 1), 1)
            rows.append({"audio_path": path, "speaker_id": speaker, "mood": mood, "rating": rating})
    assert columns == list(rows[0])
    with (folder / "recordings.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def run_study(folder: Path) -> None:
    """Run the README's own study by the README's own commands, with the spec that they write."""
    [table] = blocks(README, "csv")
    [spec] = blocks(README, "yaml")
    write_recordings(folder, table.splitlines()[0].split(","))
    typed = [command for command in commands(README) if "my-study" in command]
    verbs = [command.split()[1] for command in typed]
    assert verbs == ["init", "validate", "plan", "run", "status", "view"]
    for command in typed[:-1]:  # the page is opened in a test of its own
        done = shell(command, folder)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    assert yaml.safe_load((folder / "my-study.yaml").read_text()) == yaml.safe_load(spec)


def test_the_readme_is_short_and_its_own_data_takes_twelve_lines() -> None:
    assert len(README.read_text().splitlines()) <= 150
    [spec] = blocks(README, "yaml")
    assert len(spec.splitlines()) <= 12


def test_the_readmes_study_runs_as_typed_and_its_results_open_as_documented(tmp_path: Path) -> None:
    run_study(tmp_path)
    spec = yaml.safe_load((tmp_path / "my-study.yaml").read_text())
    with (tmp_path / "results/my-study/tables/layers.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["target"] for row in rows} == set(spec["targets"])
    assert {model["name"] for model in spec["models"]} <= {row["model"] for row in rows}
    assert (tmp_path / "results/my-study/report.html").stat().st_size > 100_000
    assert (tmp_path / "results/my-study/plots/summary.png").exists()

    results = ROOT / "results/README.md"
    (tmp_path / "results/demo").symlink_to("my-study")
    for command in [one for one in commands(results) if "results/demo" in one]:
        done = shell(command, tmp_path)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    [tables] = [block for block in blocks(results, "python") if "open_run" in block]
    (tmp_path / "tables.py").write_text(tables + "\nprint(values.shape[0] == len(ids) > 0)\n")
    shown = shell("python tables.py", tmp_path)
    assert shown.stdout.strip() == "True", shown.stderr


def test_every_verb_of_the_readme_is_a_command_and_every_command_is_in_the_readme() -> None:
    table = README.read_text().split("## Commands")[1].split("## Installation")[0]
    named = set(re.findall(r"`sweep ([a-z]+)", table))
    listed = shell("sweep --help", ROOT).stdout
    assert named == set(re.findall(r"^  ([a-z]+)  ", listed, re.MULTILINE))


def test_make_has_every_target_that_the_readmes_name() -> None:
    targets = {
        command.split()[1]
        for path in READMES
        for command in commands(path)
        if command.startswith("make ")
    }
    assert {"demo", "test", "lint", "bench"} <= targets
    for target in targets:
        known = subprocess.run(
            ["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert known.returncode == 0, known.stderr


def test_every_extra_that_the_readmes_name_exists_and_is_explained() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = set(project["optional-dependencies"])
    for path in READMES:
        for names in COMMANDS_OF_PIP.findall(path.read_text()):
            assert set(names.split(",")) <= extras, path
    table = README.read_text().split("| extra | for |")[1].split("\n\n")[0]
    assert set(re.findall(r"`([a-z0-9]+)`", table.replace("`kind: espeak`", ""))) == extras


@pytest.mark.parametrize("path", READMES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_of_a_readme_leads_to_a_file(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text()):
        assert (path.parent / target).exists(), target


def test_the_network_of_ones_own_of_the_jobs_readme_is_accepted(tmp_path: Path) -> None:
    [factory] = blocks(ROOT / "jobs/README.md", "python")
    [model] = blocks(ROOT / "jobs/README.md", "yaml")
    (tmp_path / "my_models.py").write_text(factory)
    (tmp_path / "my_package.py").write_text(
        "import torch\n\n\nclass SpeakerNet(torch.nn.Module):\n"
        "    def __init__(self, width):\n        super().__init__()\n"
        "        self.stem = torch.nn.Linear(80, width)\n"
        "        self.blocks = torch.nn.ModuleList([torch.nn.Linear(width, width)])\n\n"
        "    def forward(self, x):\n        return self.blocks[0](self.stem(x))\n"
    )
    make = (
        "import torch, my_package\n"
        "torch.save(my_package.SpeakerNet(256).state_dict(), 'speakernet.pt')\n"
    )
    (tmp_path / "make.py").write_text(make)
    assert shell("python make.py", tmp_path).returncode == 0
    corpus = {"kind": "espeak", "speakers": {"train": 3, "validation": 3, "test": 3},
              "utterances_per_speaker": 2}  # fmt: skip
    values = {"name": "own", "corpus": corpus, "targets": ["cps"], "models": yaml.safe_load(model),
              "probes": [{"kind": "ridge"}]}  # fmt: skip
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(values))
    done = shell("sweep layers own.yaml:mine", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "blocks.0" in done.stdout


@pytest.mark.slow
def test_the_cluster_of_the_docker_readme_runs_as_typed(tmp_path: Path) -> None:
    [block] = [block for block in blocks(ROOT / "docker/README.md", "sh") if "ray start" in block]
    shutil.copytree(ROOT / "specs", tmp_path / "specs")
    done = shell(block.replace("/tmp/shared", str(tmp_path / "shared")), tmp_path)
    assert done.returncode == 0, done.stderr
