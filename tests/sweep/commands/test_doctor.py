"""``sweep doctor``: what it says of a machine and of a model, and its exit code."""

import re
import sys
from importlib import metadata
from pathlib import Path

from typer.testing import CliRunner

from jobs.models.padding import convolution
from sweep.commands import check_machine as doctor
from sweep.commands.app import app

ARCHITECTURE = "XVEC"


def run(*words):
    return CliRunner().invoke(app, ["doctor", *map(str, words)])


def test_a_machine_that_runs_these_tests_is_well(tmp_path):
    result = run("--all", "--cache", tmp_path / "cache")
    assert result.exit_code == 0, result.output
    assert "this machine can run sweeps" in result.output
    assert "WRONG" not in result.output
    for name in ("torch", "ray", "wespeaker-unofficial"):
        assert re.search(rf"ok +{name} +{re.escape(metadata.version(name))}", result.output)
    assert re.search(r"ok +CUDA GPUs", result.output)
    assert re.search(r"ok +cache +\S*cache, [\d.]+ GiB free", result.output)
    assert list((tmp_path / "cache").iterdir()) == []


def finding(what, found="fine", remedy=""):
    return doctor.Finding(what, found, remedy)


def test_a_verdict_has_only_what_matters_and_the_next_command():
    findings = [
        finding("torch"), finding("processor", "2 cores"),
        finding("torchcrepe", "not installed; optional: pip install torchcrepe"),
    ]  # fmt: skip
    assert list(doctor.verdict(findings)) == [
        "this machine can run sweeps",
        "processor: 2 cores",
        "optional, not installed: torchcrepe (see `sweep doctor --all`)",
        "next: sweep init --csv TABLE for your own data, or sweep run demo",
    ]
    assert list(doctor.verdict([*findings, finding("Ray", "broken", "install it")])) == [
        "this machine cannot run sweeps yet: 1 problem",
        "Ray: install it",
        "then check again: sweep doctor",
    ]


def test_a_cache_that_cannot_be_written_is_wrong_and_has_a_remedy(tmp_path):
    (tmp_path / "file").touch()
    result = run("--cache", tmp_path / "file" / "cache")
    assert result.exit_code == 1
    assert re.search(r"WRONG +cache +\S*cache cannot be written to", result.output)
    assert "cache: choose another with --cache or $SWEEP_CACHE" in result.output


def test_a_full_disk_is_wrong(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "SPARE_BYTES", 2**60)
    result = run("--cache", tmp_path)
    assert result.exit_code == 1
    assert "cache: make room" in result.output


def test_packages_are_those_that_the_project_asks_for(tmp_path, monkeypatch):
    wanted = ["numpy", "no-such-package>=2", "no-such-extra>=1; extra == 'export'"]
    monkeypatch.setattr(metadata, "requires", lambda name: wanted)
    monkeypatch.setitem(sys.modules, "wespeaker", None)
    result = run("--cache", tmp_path)
    assert result.exit_code == 1
    assert "no-such-package: pip install 'no-such-package>=2'" in result.output
    command = "pip install --no-deps wespeaker-unofficial"
    optional = rf"ok +wespeaker-unofficial +not installed; optional: {command}"
    assert re.search(optional, run("--all", "--cache", tmp_path).output)
    assert "no-such-extra" not in result.output


def test_a_ray_that_cannot_be_imported_is_wrong(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sweep.executors.session", None)
    result = run("--cache", tmp_path)
    assert result.exit_code == 1
    assert "ModuleNotFoundError" in result.output


def test_a_models_padded_batches_are_exact_and_the_worst_layer_is_named():
    result = run("--model", ARCHITECTURE)
    assert result.exit_code == 0, result.output
    assert "XVEC: exact to rounding; the worst of 8 layers is " in result.output
    assert "(at most 3)" in result.output


def test_a_mask_that_is_missing_is_found(monkeypatch):
    monkeypatch.setattr(convolution, "zero_invalid", lambda value, axis: value)
    result = run("--model", "ECAPA_TDNN_c512")
    assert result.exit_code == 1
    assert "NOT exact: do not use padded batches" in result.output


def test_a_network_that_cannot_be_masked_is_no_fault(tmp_path):
    (tmp_path / "recurrent_network.py").write_text(
        "from torch import nn\n\n\n"
        "class Recurrent(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.gru = nn.GRU(80, 4, batch_first=True)\n\n"
        "    def forward(self, x):\n"
        "        return self.gru(x)[0]\n"
    )
    spec = tmp_path / "spec.yaml"
    spec.write_text(
        "name: x\n"
        "corpus: {kind: espeak, utterances_per_speaker: 2,\n"
        "         speakers: {train: 2, validation: 2, test: 2}}\n"
        "models:\n"
        f"  - {{name: rnn, kind: python, folder: {tmp_path}, input: fbank, taps: [output],\n"
        "     factory: 'recurrent_network:Recurrent'}\n"
        "probes: [{kind: ridge}]\n"
    )
    result = run("--model", f"{spec}:rnn")
    assert result.exit_code == 0, result.output
    assert "rnn: not masked: there is no rule for gru" in result.output


def test_no_such_model_is_a_mistake_of_the_command_line():
    result = run("--model", Path("no") / "such")
    assert result.exit_code == 2
    assert "no model" in result.output
