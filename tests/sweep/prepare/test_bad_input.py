"""Input that is wrong, damaged or hostile, through the command line: said, counted, survived."""

import csv
import json
import os
import pickle
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
import yaml

from jobs.corpus import prepare
from jobs.corpus.espeak.settings import EspeakSettings
from jobs.models.wespeaker.model import build_network
from sweep.commands import app
from tests.conftest import Values
from tests.support.no_figures import draw_nothing

ARGS = {"in_planes": 2, "embed_dim": 16}


@dataclass(frozen=True)
class Said:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str


Command = Callable[..., Said]


@pytest.fixture
def sweep(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> Command:
    """The command line in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SWEEP_CACHE", raising=False)

    def run(*arguments: str | Path) -> Said:
        monkeypatch.setattr("sys.argv", ["sweep", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            app.main()
        out, err = capfd.readouterr()
        assert "Traceback" not in out + err
        return Said(int(end.value.code or 0), out, err)

    return run


@pytest.fixture
def no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures take most of a small run's time and have tests of their own."""
    draw_nothing(monkeypatch)


@pytest.fixture
def small(spec_values: Values) -> Values:
    """One model, three layers, one probe."""
    del spec_values["models"][1:]
    spec_values |= {
        "layers": ["stem", "layer3.*", -1], "probes": [{"kind": "ridge"}], "controls": [],
        "baselines": ["mean"],
    }  # fmt: skip
    return spec_values


def inline(spec: Path, cache: Path, out: Path | str = "run") -> list[str | Path]:
    return ["run", spec, "--inline", "--out", out, "--cache", cache, "--display", "none"]


def refused(said: Said, folder: Path, *patterns: str) -> None:
    """Exit code 2, every pattern on a line of its own, and no run."""
    assert said.code == 2, said
    lines = said.err.strip().splitlines()
    for pattern in patterns:
        assert any(re.fullmatch(pattern, line) for line in lines), f"{pattern}\nnot in\n{said.err}"
    assert not [path for path in folder.rglob("*") if path.name in ("run", "results", "plan.json")]


# --- specs ------------------------------------------------------------------------------------


def test_all_errors_of_form_come_at_once_each_at_its_place(
    sweep: Command, tmp_path: Path, cache: Path
) -> None:
    (tmp_path / "spec.yaml").write_text(
        "name: ../x\n"
        "corpus: {kind: espeek, speakers: {train: 2}, utterances_per_speaker: 5}\n"
        "modells: []\n"
        "models:\n"
        "  - {name: a, kind: wespeaker, architecture: SimAM_ResNet43_ASP}\n"
        "  - {name: b, kind: wespeaker, checkpoint: x, architecture: SimAM_ResNet34_ASP}\n"
        "  - {kind: wespeaker, checkpoint: x}\n"
        "pooling: man\n"
        "layers: []\n"
        "probes:\n"
        "  - {kind: rigde}\n"
        "  - {kind: mlp, hiden: [8]}\n"
        "  - {kind: mlp, name: two, seeds: many}\n"
        "bootstrap: 1000\n"
        "compute: {extractor: {gpu: 1}}\n"
    )
    refused(
        sweep(*inline(Path("spec.yaml"), cache)), tmp_path,
        r"spec\.yaml:1:7: name: string should match pattern .*, found '\.\./x'",
        r"spec\.yaml:2:16: unknown kind 'espeek'; did you mean 'espeak'\?",
        r"spec\.yaml:3:1: unknown key 'modells'; did you mean 'models'\?",
        r"spec\.yaml:5:46: unknown architecture 'SimAM_ResNet43_ASP'.*nearest: SimAM_ResNet34_.*",
        r"spec\.yaml:6:5: expected either checkpoint or architecture, found both",
        r"spec\.yaml:7:5: the key 'name' is missing",
        r"spec\.yaml:8:10: pooling: 'man' is not valid; did you mean 'mean'\?",
        r"spec\.yaml:9:9: layers: expected all, blocks, or a list .*",
        r"spec\.yaml:11:12: unknown kind 'rigde'; did you mean 'ridge'\?",
        r"spec\.yaml:12:17: unknown key 'hiden'; did you mean 'hidden'\?",
        r"spec\.yaml:13:35: seeds: .*integer.*, found 'many'",
        r"spec\.yaml:14:12: bootstrap: .*found 1000",
        r"spec\.yaml:15:23: unknown key 'gpu'; did you mean 'gpus'\?",
    )  # fmt: skip


def test_all_errors_of_meaning_come_at_once(
    sweep: Command, write_spec: Callable[[Values], Path], small: Values, cache: Path, tmp_path: Path
) -> None:
    small["targets"] = ["cps", "words_per_secnd"]
    small["models"].append({"name": "none", "kind": "wespeaker", "checkpoint": "nowhere"})
    small["models"].append({**small["models"][0], "name": "twin"})
    small["models"].append({**small["models"][0], "name": "mean predictor", "seed": 5})
    small["probes"] += [{"kind": "ridge", "name": "again"}, {"kind": "ridge", "alphas": [1]}]
    small["protocol"] = {"kind": "kfold", "folds": 15}
    spec = write_spec(small)
    refused(
        sweep(*inline(spec, cache)), tmp_path,
        r".*spec\.yaml:\d+:3: no target 'words_per_secnd'.*did you mean 'words_per_second'\?",
        r".*spec\.yaml:\d+:3: none: no nowhere/config\.yaml: found no such folder; expected .*",
        r".*spec\.yaml:\d+:3: twin: the same weights as 'a'; remove one of them",
        r".*spec\.yaml:\d+:9: models: the name 'mean predictor' is reserved for baselines; .*",
        r".*spec\.yaml:\d+:3: again: the same settings as 'ridge'; remove one of them",
        r".*spec\.yaml:\d+:3: probes: the name 'ridge' is used twice; .*",
        r".*spec\.yaml:\d+:3: 15 folds need as many values of speaker_id, .* has 14: .*",
    )  # fmt: skip


def test_a_layer_pattern_that_matches_nothing_is_refused_with_the_nearest_layer(
    sweep: Command, write_spec: Callable[[Values], Path], small: Values, cache: Path, tmp_path: Path
) -> None:
    small["layers"] = ["stem", "layer3.0.rely1", 51]
    refused(
        sweep(*inline(write_spec(small), cache)), tmp_path,
        r".*spec\.yaml:\d+:3: a: layer pattern 'layer3\.0\.rely1' .* nearest: layer3\.0\.relu1.*",
        r".*spec\.yaml:\d+:3: a: layer 51 does not exist: expected a position from -51 to 50",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("name: [a\n", r"2:1: not YAML: .*"),
        ("name: a\n\tmodels: 1\n", r"2:1: not YAML: .*"),
        ("- a\n", r"1:1: expected `key: value` lines, found list"),
        ("", r"1:1: expected `key: value` lines, found nothing"),
        ("name: a\nname: b\n", r"2:1: the key 'name' is repeated"),
        ("when: 2020-13-40\n", r"1:1: not YAML that can be read: .*"),
        ("a: !!python/object/apply:os.system ['touch owned']\n", r"1:4: not YAML: .*"),
        ("\udcff", r"1:1: cannot read the spec: not UTF-8 text"),
        (None, r"1:1: cannot read the spec: No such file or directory"),
    ],
)
def test_a_file_that_is_no_spec_is_refused_at_its_place(
    sweep: Command, tmp_path: Path, cache: Path, text: str | None, place: str
) -> None:
    if text is not None:
        (tmp_path / "spec.yaml").write_bytes(text.encode(errors="surrogateescape"))
    refused(sweep(*inline(Path("spec.yaml"), cache)), tmp_path, rf"spec\.yaml:{place}")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--set", "name"], r"--set name:1:1: expected KEY=VALUE, .*"),
        (["--set", "=3"], r"--set =3:1:1: expected KEY=VALUE, .*"),
        (["--set", "name=[a"], r"--set name=\[a:1:6: the value is not YAML"),
        (["--set", "models.7.name=x"], r"--set models\.7\.name=x:1:1: the spec has no 7 there: .*"),
        (["--set", "name.x=1"], r"--set name\.x=1:1:1: name\.x: cannot set 'x': .*"),
        (["--set", "polling=mean"], r"--set .*: unknown key 'polling'; did you mean 'pooling'\?"),
        (["--local", "--address", "auto"], r".*choose one of --local, --inline, --address.*"),
        (["--out", "spec.yaml"], r".*spec\.yaml is a file: expected a folder.*"),
        (["--cache", "spec.yaml"], r".*spec\.yaml is a file: expected a folder.*"),
        (["--inlnie"], r".*No such option.*--inlnie.*"),
        (["--display", "fancy"], r".*'fancy'.*'rich'.*"),
    ],
)  # fmt: skip
def test_a_wrong_option_of_run_is_refused(
    sweep: Command,
    write_spec: Callable[[Values], Path],
    small: Values,
    tmp_path: Path,
    options: list[str],
    message: str,
) -> None:
    refused(sweep("run", write_spec(small), *options), tmp_path, message)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rnu", "spec.yaml"], r".*No such command.*rnu.*"),
        (["run"], r".*Missing argument.*SPEC.*"),
        (["status", "nowhere"], r"nowhere is not a run: expected plan\.json in it; .*"),
        (["report", "nowhere"], r"nowhere is not a run: expected plan\.json in it; .*"),
        (["layers", "nothing"], r"no model 'nothing': expected .*"),
        (["layers", "ResNet3"], r"no model 'ResNet3': .*; nearest: ResNet34, .*"),
        (["layers", "ReDimNet2B0"], r"no model 'ReDimNet2B0': .* runs on .* front end 'tfmel'.*"),
        (["layers", "ERes2Net"], r"model_args\.m_channels: .*; the arguments of ERes2Net are .*"),
        (["plan", "nowhere.yaml"], r"nowhere\.yaml:1:1: cannot read the spec: .*"),
        (["validate", "nowhere.yaml"], r"nowhere\.yaml:1:1: cannot read the spec: .*"),
    ],
)
def test_a_wrong_command_line_is_refused(
    sweep: Command, tmp_path: Path, arguments: list[str], message: str
) -> None:
    refused(sweep(*arguments), tmp_path, message)


# --- audio ------------------------------------------------------------------------------------


def silence(path: Path) -> None:
    soundfile.write(path, np.zeros(16_000, dtype=np.int16), 16_000, format="FLAC")


def one_sample_too_short(path: Path) -> None:
    soundfile.write(path, np.arange(399, dtype=np.int16), 16_000, format="FLAC")


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def drop_transcript(path: Path) -> None:
    [transcripts] = path.parent.glob("*.trans.txt")
    lines = transcripts.read_text().splitlines(keepends=True)
    transcripts.write_text("".join(line for line in lines if not line.startswith(path.stem)))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "missing": Path.unlink,
    "empty file": lambda path: path.write_bytes(b""),
    "truncated|not readable": cut,
    "not FLAC audio": lambda path: path.write_text("no audio at all\n" * 100),
    "silent": silence,
    "too short": one_sample_too_short,
    "audio without a transcript": drop_transcript,
}
"""Reason, at the start of what is said of it → how the file comes to it."""


@pytest.fixture
def damaged(small: Values, cache: Path, tmp_path: Path) -> dict[str, str]:
    """A corpus on disk with a file of every kind of damage, half of them in the test part.

    Returns:
        Utterance id → pattern of the reason.
    """
    made = prepare(EspeakSettings.model_validate(small["corpus"]), cache).utterances
    root = tmp_path / "corpus"
    shutil.copytree(Path(made["audio_path"].iloc[0]).parents[3], root)
    parts = sorted(made["split"].unique())
    small["corpus"] = {
        "kind": "librispeech", "root": str(root), "splits": {part: part for part in parts},
    }  # fmt: skip
    files = {part: sorted((root / part).rglob("*.flac")) for part in ("test", "train")}
    reasons = {}
    for number, (reason, damage) in enumerate(DAMAGES.items()):
        path = files["test" if number % 2 else "train"][2 * number]
        damage(path)
        reasons[path.stem] = reason
    return reasons


def test_bad_audio_is_named_and_counted_and_the_rest_is_scored(
    sweep: Command,
    write_spec: Callable[[Values], Path],
    small: Values,
    damaged: dict[str, str],
    cache: Path,
    tmp_path: Path,
    no_plots: None,
) -> None:
    small["baselines"] = ["mean", "duration", "fbank"]
    said = sweep(*inline(write_spec(small), cache))
    assert said.code == 0, said
    with (tmp_path / "run" / "skipped.csv").open(newline="") as file:
        skipped = {row["utterance_id"]: row["reason"] for row in csv.DictReader(file)}
    assert skipped.keys() == damaged.keys()
    log = (tmp_path / "run" / "driver.log").read_text()
    for name, reason in damaged.items():
        assert re.match(reason, skipped[name]), (name, skipped[name])
        assert f"skipped {name}: {skipped[name]}" in log
    notes = (tmp_path / "run" / "tables" / "models.md").read_text().rpartition("|")[2]
    for name, reason in skipped.items():
        kind = re.escape(reason.partition(":")[0])
        assert re.search(rf"^- 1 utterance skipped, {kind}: {name} ", notes, re.MULTILINE), notes
    corpus = sorted(
        line.split()[0]
        for path in (tmp_path / "corpus").rglob("*.trans.txt")
        for line in path.read_text().splitlines()
    )
    test = [
        name
        for path in (tmp_path / "corpus" / "test").rglob("*.trans.txt")
        for line in path.read_text().splitlines()
        if (name := line.split()[0]) not in damaged
    ]
    assert len({*corpus, *damaged}) == 70
    metrics = pd.read_csv(tmp_path / "run" / "tables" / "metrics.csv")
    bad_in_training = sum(name not in test and name[:1] == "1" for name in damaged)
    assert bad_in_training == len(damaged)
    assert set(metrics["n_test"]) == {len(test)} == {20 - len(DAMAGES) // 2}
    assert set(metrics["n_train"]) == {30 - (len(DAMAGES) + 1) // 2}
    assert set(metrics["model"]) == {"a", "baseline:duration", "baseline:fbank"}


def test_stereo_and_another_sample_rate_are_used_and_told(
    sweep: Command,
    write_spec: Callable[[Values], Path],
    small: Values,
    damaged: dict[str, str],
    cache: Path,
    tmp_path: Path,
    no_plots: None,
) -> None:
    files = sorted((tmp_path / "corpus" / "validation").rglob("*.flac"))
    wave, rate = soundfile.read(files[0], dtype="int16")
    soundfile.write(files[0], np.stack([wave, wave], axis=1), rate, format="FLAC")
    wave, rate = soundfile.read(files[1], dtype="int16")
    soundfile.write(files[1], wave[::2], 8_000, format="FLAC")
    said = sweep(*inline(write_spec(small), cache))
    assert said.code == 0, said
    skipped = (tmp_path / "run" / "skipped.csv").read_text()
    notes = (tmp_path / "run" / "tables" / "models.md").read_text().rpartition("|")[2]
    used = set(pd.read_csv(tmp_path / "run" / "utterances.csv")["utterance_id"])
    for path in files[:2]:
        assert path.stem in used
        assert path.stem not in skipped
    assert re.search(r"8[ ,]?000 Hz|8 kHz", notes), notes
    assert re.search(r"channel|mono|mixed", notes), notes


def test_a_file_of_ten_minutes_is_used_like_any_other(
    sweep: Command,
    write_spec: Callable[[Values], Path],
    small: Values,
    damaged: dict[str, str],
    cache: Path,
    tmp_path: Path,
    no_plots: None,
) -> None:
    path = sorted((tmp_path / "corpus" / "test").rglob("*.flac"))[-1]
    wave, rate = soundfile.read(path, dtype="int16")
    soundfile.write(path, np.resize(wave, 600 * rate), rate, format="FLAC")
    small["targets"] = ["energy", "duration"]
    small["layers"] = ["stem", -1]
    said = sweep(*inline(write_spec(small), cache))
    assert said.code == 0, said
    table = pd.read_csv(tmp_path / "run" / "utterances.csv").set_index("utterance_id")
    assert table.loc[path.stem, "duration"] == 600
    # Its level is that of what was repeated.
    power = np.mean(np.square(wave / 32768))
    assert table.loc[path.stem, "energy"] == pytest.approx(10 * np.log10(power), abs=0.05)
    assert path.stem not in (tmp_path / "run" / "skipped.csv").read_text()
    assert pd.read_csv(tmp_path / "run" / "tables" / "metrics.csv")["n_test"].min() > 0


def test_skipped_utterances_are_still_told_when_the_cache_was_emptied(
    sweep: Command,
    write_spec: Callable[[Values], Path],
    small: Values,
    damaged: dict[str, str],
    tmp_path: Path,
    no_plots: None,
) -> None:
    spec, skipped = write_spec(small), tmp_path / "run" / "skipped.csv"
    assert sweep(*inline(spec, tmp_path / "own")).code == 0
    before = skipped.read_text()
    shutil.rmtree(tmp_path / "own")
    assert "nothing to do" in sweep(*inline(spec, tmp_path / "own")).out
    assert sorted(skipped.read_text().splitlines()) == sorted(before.splitlines())


def test_a_part_of_nothing_but_silence_fails_its_cells(
    sweep: Command,
    write_spec: Callable[[Values], Path],
    small: Values,
    damaged: dict[str, str],
    cache: Path,
    tmp_path: Path,
    no_plots: None,
) -> None:
    for path in (tmp_path / "corpus" / "test").rglob("*.flac"):
        silence(path)
    everything = ["--set", "compute.give_up_after=null"]  # which stops a run that fails alike
    said = sweep(*inline(write_spec(small), cache), *everything)
    assert said.code == 1, said
    assert "0 cells done, 20 failed" in said.out
    notes = (tmp_path / "run" / "tables" / "models.md").read_text()
    assert re.search(r"20 cells of .* failed: fold 0 has ", notes)
    assert "and 0 test utterances with activations" in notes


# --- models -----------------------------------------------------------------------------------


def make_checkpoint(folder: Path, key: str | None = None, value: float = 0.0) -> Path:
    """A checkpoint in WeSpeaker's format, one of its weights set to ``value``."""
    weights = build_network("SimAM_ResNet34_ASP", ARGS, seed=3).state_dict()
    if key:
        weights[key].view(-1)[0] = value
    folder.mkdir()
    torch.save(weights, folder / "avg_model.pt")
    config = {"model": "SimAM_ResNet34_ASP", "model_args": ARGS}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_layers_after_a_weight_that_is_not_finite_fail_and_those_before_are_scored(
    sweep: Command,
    write_spec: Callable[[Values], Path],
    small: Values,
    cache: Path,
    tmp_path: Path,
    value: float,
    no_plots: None,
) -> None:
    folder = make_checkpoint(tmp_path / "sick", "front.layer3.0.conv1.weight", value)
    small["models"].append({"name": "sick", "kind": "wespeaker", "checkpoint": str(folder)})
    small["layers"] = "all"
    small["controls"] = ["shuffled"]
    small["probes"] = [{"kind": "ridge"}, {"kind": "cca"}]
    said = sweep(*inline(write_spec(small), cache))
    assert said.code == 1, said
    # Before layer 3: the stem, three taps each of the 3 + 4 blocks of layers 1 and 2.
    good = 1 + 3 * (3 + 4)
    bad = 51 - good
    assert f"{(51 + good) * 4} cells done, {bad * 4} failed" in said.out
    tables = tmp_path / "run" / "tables"
    metrics, curves, models = (
        pd.read_csv(tables / f"{name}.csv") for name in ("metrics", "layers", "models")
    )
    assert len(metrics[metrics["model"] == "sick"]) == good * 4
    sick = curves[curves["model"] == "sick"]
    assert set(sick["layer_index"]) == set(range(good))
    assert len(curves[curves["model"] == "a"]) == 51 * 2
    assert metrics[["mse", "mae", "rmse", "mean_mse"]].notna().all(axis=None)
    assert curves[["r2", "mse", "mae"]].notna().all(axis=None)  # too few speakers for intervals
    row = models[(models["model"] == "sick") & (models["probe"] == "ridge")].iloc[0]
    assert row["n_layers"] == good
    assert row["best_layer_index"] < good
    assert np.isnan(row["embedding_mse"])
    notes = (tables / "models.md").read_text()
    [failed] = re.findall(r"^- sick: (.*) failed; the first: activations of (.*?):", notes, re.M)
    assert failed == (
        f"{bad * 4} cells of {bad} layers from layer3.0.relu1 to embedding",
        "layer3.0.relu1",
    )
    assert "in 70 of 70 utterances are not finite" in notes


def test_when_everything_failed_there_is_still_a_report(
    sweep: Command, write_spec: Callable[[Values], Path], small: Values, cache: Path, tmp_path: Path
) -> None:
    folder = make_checkpoint(tmp_path / "sick", "front.conv1.weight", float("nan"))
    small["models"] = [{"name": "sick", "kind": "wespeaker", "checkpoint": str(folder)}]
    assert sweep(*inline(write_spec(small), cache)).code == 1
    assert len(pd.read_csv(tmp_path / "run" / "tables" / "metrics.csv")) == 0
    assert "activations of stem" in (tmp_path / "run" / "report.html").read_text()
    assert sweep("report", "run").code == 0
    status = sweep("status", "run")
    assert (status.code, "0 cells done, 20 failed" in status.out) == (0, True), status.out


class Bomb:
    """Runs a command when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self.trace}",)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("avg_model.pt", b"", r"is damaged or not a PyTorch file"),
        ("avg_model.pt", b"version https://git-lfs.github.com/spec/v1\n",
         r"was not loaded|damaged"),
        ("avg_model.pt", b"<!DOCTYPE html><html>404</html>", r"was not loaded|damaged"),
        ("config.yaml", b"when: 2020-13-40\n", r"is not plain YAML"),
        ("config.yaml", b"\xff\xfe\x00", r"is not plain YAML"),
        ("config.yaml", b"model: !!python/object/apply:os.system ['touch owned']\n",
         r"is not plain YAML"),
        ("config.yaml", b"model: SimAM_ResNet34_ASP\nmodel_args: {in_planes: 4, embed_dim: 16}\n",
         r"does not fit the network of its config\.yaml in \d+ of \d+ tensors: "
         r"front\.conv1\.weight: expected \(4, 1, 3, 3\), found \(2, 1, 3, 3\)"),
        ("config.yaml", b"model: SimAM_ResNet34_ASP\nmodel_args: {in_plane: 2}\n",
         r"model_args\.in_plane: unknown argument; nearest: in_planes; the arguments of .* are "),
        ("config.yaml", b"model: ECAPA\nmodel_args: {}\n", r"unknown architecture 'ECAPA'"),
        ("config.yaml", b"model: SimAM_ResNet34_ASP\nmodel_args: {in_planes: 2, embed_dim: 16}\n"
         b"dataset_args: {resample_rate: 8000}\n", r"resample_rate: expected 16000, found 8000"),
    ],
)  # fmt: skip
def test_a_damaged_or_foreign_checkpoint_is_refused(
    sweep: Command,
    write_spec: Callable[[Values], Path],
    small: Values,
    cache: Path,
    tmp_path: Path,
    file: str,
    content: bytes,
    message: str,
) -> None:
    folder = make_checkpoint(tmp_path / "model")
    (folder / file).write_bytes(content)
    small["models"] = [{"name": "m", "kind": "wespeaker", "checkpoint": str(folder)}]
    said = sweep(*inline(write_spec(small), cache))
    refused(said, tmp_path)
    assert re.search(rf"spec\.yaml:\d+:3: m: {folder}/.*({message})", said.err), said.err
    assert file in said.err
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("zipped", [True, False])
def test_a_checkpoint_that_would_run_code_is_refused_and_runs_none(
    sweep: Command,
    write_spec: Callable[[Values], Path],
    small: Values,
    cache: Path,
    tmp_path: Path,
    zipped: bool,
) -> None:
    folder, bomb = make_checkpoint(tmp_path / "model"), Bomb(tmp_path / "owned")
    if zipped:
        torch.save({"front.conv1.weight": bomb}, folder / "avg_model.pt")
    else:
        (folder / "avg_model.pt").write_bytes(pickle.dumps(bomb, protocol=2))
    small["models"] = [{"name": "m", "kind": "wespeaker", "checkpoint": str(folder)}]
    said = sweep(*inline(write_spec(small), cache))
    refused(said, tmp_path)
    assert "could execute code" in said.err
    assert not bomb.trace.exists()
    assert sweep("layers", folder).code == 2
    assert not bomb.trace.exists()


# --- names ------------------------------------------------------------------------------------

HOSTILE = (
    "../../../escape",
    "/absolute",
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "a|b%s%d{0}\\",
    "two\nlines\tand a tab",
    "$x^{$ _hidden & #1 {~^}",
    "\x1b[31mred\x07",
    "=HYPERLINK(1)",
    "x" * 300,
)


class Elements(HTMLParser):
    """The elements and the text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.update(name for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_hostile_names_stay_text_and_stay_in_the_folder(
    sweep: Command, write_spec: Callable[[Values], Path], small: Values, cache: Path, tmp_path: Path
) -> None:
    small["layers"] = ["stem", -1]
    small["models"] = [
        {**small["models"][0], "name": name, "seed": seed} for seed, name in enumerate(HOSTILE)
    ]
    small["probes"] = [
        {"kind": "ridge", "name": name, "alphas": [10.0**power]}
        for power, name in enumerate((HOSTILE[0], HOSTILE[-1]))
    ]
    home = tmp_path / "a" / "b" / "c" / "run"
    said = sweep(*inline(write_spec(small), cache, home))
    assert said.code == 0, said
    assert "\x1b" not in said.out + said.err
    assert "\x07" not in said.out + said.err
    outside = [path for path in tmp_path.rglob("*") if path.is_file() and home not in path.parents]
    assert [path.name for path in outside] == ["spec.yaml"]
    assert len(pd.read_csv(home / "tables" / "metrics.csv")) == len(HOSTILE) * 2 * 2
    with (home / "tables" / "layers.csv").open(newline="") as file:
        assert {row["model"] for row in csv.DictReader(file)} == set(HOSTILE)
    check_page((home / "report.html").read_text())
    check_markdown((home / "tables" / "models.md").read_text())
    check_latex((home / "tables" / "models.tex").read_text())
    assert "\x1b" not in sweep("status", home).out


FACTORY = """
import torch

LAYERS = ("<script>alert(1)", "$(touch owned)", "\\\\input{x}", "'; touch owned; '", "/etc|%d{0}")

def network():
    layers = [(name, torch.nn.Conv1d(80, 80, 1, groups=80)) for name in LAYERS]
    named = torch.nn.Sequential()
    for name, layer in layers:
        named.add_module(name, layer)
    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = named
        def forward(self, x):
            return self.layers(x.transpose(1, 2)).mean(-1)
    return Network()
"""
LAYERS = ("<script>alert(1)", "$(touch owned)", "\\input{x}", "'; touch owned; '", "/etc|%d{0}")
COLUMNS = ("../../up", "<b>bold</b>", "\\input{/etc/passwd}", "$(touch owned)", "a,b\"c'|d")


@pytest.fixture
def hostile_corpus(small: Values, cache: Path, tmp_path: Path) -> Path:
    """A table whose columns, speakers, parts and files have names that mean something elsewhere."""
    made = prepare(EspeakSettings.model_validate(small["corpus"]), cache).utterances
    folder = tmp_path / "$(touch owned) <i> & 'q' %s"
    folder.mkdir()
    rows = []
    for number, row in enumerate(made.to_dict("records")):
        name = f"{number} {HOSTILE[number % 7].replace('/', '_')[:40]}.flac"
        shutil.copy(row["audio_path"], folder / name)
        values = {column: number % 7 + 0.1 * at for at, column in enumerate(COLUMNS)}
        speaker = f"{row['speaker_id']}<u>$(touch owned)\\input{{x}}"
        rows.append({"audio": name, "speaker": speaker, "split": row["split"],
                     "transcript": row["text"], **values})  # fmt: skip
    rows[-1]["audio"] = "<script>missing.flac"
    table = folder / "table.csv"
    pd.DataFrame(rows).to_csv(table, index=False)
    return table


def test_hostile_names_of_columns_speakers_files_and_layers_stay_text(
    sweep: Command,
    write_spec: Callable[[Values], Path],
    small: Values,
    hostile_corpus: Path,
    tmp_path: Path,
) -> None:
    (tmp_path / "hostile_factory.py").write_text(FACTORY)
    names = ("audio", "speaker", "split", "transcript")
    columns = dict(zip(names, names, strict=True))
    small["corpus"] = {"kind": "csv", "path": str(hostile_corpus), "columns": columns}
    small["targets"] = list(COLUMNS)
    small["models"] = [
        {"name": "$(touch owned)`x`", "kind": "python", "factory": "hostile_factory:network",
         "folder": str(tmp_path), "input": "fbank", "taps": ["layers.*"]}
    ]  # fmt: skip
    small["layers"] = "all"
    small["similarity"] = {"measures": ["cka"], "utterances": 20}
    home = tmp_path / "a" / "b" / "run"
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    said = sweep(*inline(write_spec(small), tmp_path / "a" / "cache", home))
    assert said.code == 0, said
    assert sweep("export", home).code == 0
    new = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    inside = {path for path in new if (tmp_path / "a") in path.parents}
    assert {path.name for path in new - inside} - {"spec.yaml"} <= {
        "hostile_factory.cpython-311.pyc"
    }
    assert not list(tmp_path.rglob("owned"))
    layers = pd.read_csv(home / "tables" / "layers.csv", keep_default_na=False)
    assert set(layers["target"]) == set(COLUMNS)
    assert set(layers["layer"]) == {f"layers.{name}" for name in LAYERS}
    page = (home / "report.html").read_text()
    elements = Elements()
    elements.feed(page)
    assert elements.tags.count("script") == 2  # the data, which is not run, and the page's own
    assert not {"b", "i", "u"} & set(elements.tags)
    assert not [name for name in elements.attributes if name.startswith("on")]
    for path in (home / "tables").glob("*.md"):
        assert "<" not in path.read_text(), path
    for path in (home / "tables").glob("*.tex"):
        assert not re.search(r"\\input|[^\\]\$\(", path.read_text()), path
    for path in home.rglob("*.svg"):
        text = path.read_text()
        assert "<script" not in text, path
        assert "<b>" not in text, path


def check_page(text: str) -> None:
    page = Elements()
    page.feed(text)
    assert page.tags.count("script") == 2  # the data, which is not run, and the page's own
    assert not [name for name in page.attributes if name.startswith("on")]
    assert all(name in page.text for name in HOSTILE[2:5])
    assert "src" not in page.attributes


def check_markdown(text: str) -> None:
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + len(HOSTILE) * 2 + 2  # header, rule; speaker mean, mean predictor
    assert {len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) for row in rows} == {8}
    assert "<" not in text
    assert "\x1b" not in text


def check_latex(text: str) -> None:
    body = text.partition("\\midrule")[2].partition("\\bottomrule")[0].strip().splitlines()
    assert len(body) == len(HOSTILE) * 2 + 2
    for row in body:
        assert row.endswith("\\\\")
        bare = re.sub(
            r"\\(textbackslash|textasciitilde|textasciicircum|text\w+|[&%#_{}$])", "", row
        )
        bare = bare.replace("$-$", "")
        assert bare.count("&") == 6, row
        assert not re.search(r"[%#_$~^<>|]", bare), row


def test_a_new_name_for_a_model_or_a_probe_keeps_its_scores(
    sweep: Command,
    write_spec: Callable[[Values], Path],
    small: Values,
    cache: Path,
    tmp_path: Path,
    no_plots: None,
) -> None:
    assert sweep(*inline(write_spec(small), cache)).code == 0
    path = tmp_path / "run" / "tables" / "layers.csv"
    before = path.read_text()
    small["models"][0]["name"], small["probes"][0]["name"] = "renamed", "line"
    again = sweep(*inline(write_spec(small), cache))
    assert "nothing to do" in again.out
    assert path.read_text() == re.sub(
        "^a,(.*),ridge,ridge,", r"renamed,\1,line,ridge,", before, flags=re.M
    )
    lines = (tmp_path / "run" / "ledger.jsonl").read_text().splitlines()
    ledger = [json.loads(line) for line in lines]
    assert {record["model"] for record in ledger} == {"a"}  # what was, was
