"""A run is left out only if everything that it would read and write is the same."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from jobs.corpus import corpus_sources
from jobs.corpus.csv_settings import CsvSettings
from jobs.models.python.settings import PythonSettings
from jobs.models.wespeaker.folders import INCLUDED
from sweep.commands.app import app
from sweep.prepare.prepare import Prepared, load_and_prepare
from sweep.report.tables.markup import Cell, Table
from sweep.running import up_to_date
from sweep.running.options import RunOptions
from sweep.running.run import run_sweep
from sweep.running.up_to_date import InputWatch, find_up_to_date
from sweep.state.events import EventLog
from sweep.state.file_states import survey
from sweep.state.run_folder import RunFolder
from tests.support.no_figures import draw_nothing

PYTHON = PythonSettings(name="a", factory="mine:make", input="fbank", taps=("output",))
COMPARISON = [Table(("Model", "R²"), (False, True), ((Cell("a"), Cell("0.50", 0.5)),))]


@dataclass(frozen=True)
class Finished:
    """A complete run of a corpus in LibriSpeech's layout and a copied checkpoint."""

    spec: Path
    options: RunOptions
    prepared: Prepared

    @property
    def folder(self) -> RunFolder:
        assert isinstance(self.options.out, Path)
        return RunFolder(self.options.out)

    def record(self) -> None:
        InputWatch(self.spec, self.options).record(self.folder, self.prepared, 6, COMPARISON)

    def found(self, **options: Any) -> bool:
        return find_up_to_date(self.spec, replace(self.options, **options)) is not None


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    home = tmp_path_factory.mktemp("complete")
    cache = home / "cache"
    speakers = {"train": 4, "validation": 3, "test": 3}
    speech = {"kind": "espeak", "speakers": speakers, "utterances_per_speaker": 2}
    model = {"name": "a", "kind": "wespeaker", "checkpoint": str(home / "checkpoint")}
    shutil.copytree(INCLUDED / "demo_samresnet34", home / "checkpoint")
    values: dict[str, Any] = {
        "name": "tiny", "corpus": speech, "models": [model], "layers": ["stem"],
        "probes": [{"kind": "ridge"}], "bootstrap": {"resamples": 100}, "baselines": ["mean"],
    }  # fmt: skip
    spec = home / "spec.yaml"
    spec.write_text(yaml.safe_dump(values))
    load_and_prepare(spec, (), cache)
    [made] = (cache / "corpora").iterdir()
    made.rename(home / "corpus")
    splits = {split: split for split in speakers}
    values["corpus"] = {"kind": "librispeech", "root": str(home / "corpus"), "splits": splits}
    spec.write_text(yaml.safe_dump(values))
    options = RunOptions(where="inline", out=home / "run", cache=cache)
    with pytest.MonkeyPatch.context() as patch, EventLog() as events:
        draw_nothing(patch)
        assert run_sweep(spec, options, events).status == "done"
    return Finished(spec, options, load_and_prepare(spec, (), cache))


@pytest.fixture
def run(complete: Finished, monkeypatch: pytest.MonkeyPatch) -> Finished:
    """The run with its inputs recorded, however young they are."""
    monkeypatch.setattr(up_to_date, "SAFE_AGE", -3600.0)
    complete.record()
    assert complete.found()
    return complete


def first(folder: Path, pattern: str) -> Path:
    return min(folder.rglob(pattern))


def rewrite(path: Path) -> None:
    """The same bytes, written again; no tool can set the time of the last change of status."""
    path.write_bytes(path.read_bytes())


def extend(path: Path) -> None:
    path.write_text(f"{path.read_text()}# a remark\n")


CHANGES: dict[str, Callable[[Path], object]] = {
    "audio written": lambda home: rewrite(first(home / "corpus", "*.flac")),
    "transcript written": lambda home: rewrite(first(home / "corpus", "*.trans.txt")),
    "utterance added": lambda home: (first(home / "corpus", "*.flac").parent / "x.flac").touch(),
    "speakers added": lambda home: (home / "SPEAKERS.TXT").touch(),
    "checkpoint written": lambda home: rewrite(home / "checkpoint" / "avg_model.pt"),
    "checkpoint extended": lambda home: (home / "checkpoint" / "notes").touch(),
    "spec extended": lambda home: extend(home / "spec.yaml"),
    "prediction deleted": lambda home: first(home / "run" / "predictions", "*.npz").unlink(),
    "table written": lambda home: rewrite(home / "run" / "tables" / "models.csv"),
    "table deleted": lambda home: (home / "run" / "tables" / "layers.csv").unlink(),
    "plot added": lambda home: (home / "run" / "plots" / "old.png").touch(),
    "ledger written": lambda home: rewrite(home / "run" / "ledger.jsonl"),
    "report deleted": lambda home: (home / "run" / "report.html").unlink(),
    "shard deleted": lambda home: first(home / "cache" / "activations", "*.safetensors").unlink(),
}


@pytest.fixture
def restored(complete: Finished, tmp_path: Path) -> Iterator[None]:
    """Undoes what a test changes in the run that all tests of this file share."""
    home = complete.spec.parent
    kept = shutil.copytree(home, tmp_path / "kept", symlinks=True)
    yield
    shutil.rmtree(home)
    shutil.copytree(kept, home, symlinks=True)


@pytest.mark.parametrize("change", CHANGES)
def test_an_ordinary_run_follows_a_change(restored: None, run: Finished, change: str) -> None:
    CHANGES[change](run.spec.parent)
    assert not run.found()


def test_a_run_is_found_again_with_its_tables(run: Finished) -> None:
    found = find_up_to_date(run.spec, run.options)
    assert found is not None
    assert (found.folder, found.done) == (run.folder, 6)
    assert list(found.comparison) == COMPARISON


@pytest.mark.parametrize(
    "other",
    [
        {"overrides": ["bootstrap.resamples=200"]}, {"only": "a/*/*"}, {"fresh": True},
        {"only_failed": True}, {"unlock": True}, {"where": "local"}, {"fail_fast": True},
        {"where": "cluster", "address": "auto"},
    ],
)  # fmt: skip
def test_an_ordinary_run_follows_other_options(run: Finished, other: dict[str, Any]) -> None:
    assert not run.found(**other)


def test_an_ordinary_run_follows_another_folder_or_cache(run: Finished, tmp_path: Path) -> None:
    assert not run.found(out=tmp_path)
    assert not run.found(cache=tmp_path)


def test_an_ordinary_run_follows_another_environment(
    run: Finished, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("HF_HOME", str(tmp_path))
        assert not run.found()
    with monkeypatch.context() as patch:
        (tmp_path / "package-2.0.dist-info").mkdir()
        patch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
        assert not run.found()
    monkeypatch.chdir(tmp_path)
    assert not run.found()


def test_an_ordinary_run_follows_a_change_of_the_code(
    run: Finished, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    module = tmp_path / "jobs" / "module.py"
    module.parent.mkdir()
    module.write_text("VERSION = 1\n")
    monkeypatch.setattr(up_to_date, "ROOT", tmp_path)
    run.record()
    assert run.found()
    module.write_text("VERSION = 2\n")
    assert not run.found()


def test_a_damaged_record_leads_to_an_ordinary_run(run: Finished) -> None:
    run.folder.inputs.write_text(run.folder.inputs.read_text()[:200])
    assert not run.found()


def test_nothing_is_recorded_if_an_input_may_have_changed_during_the_run(
    run: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.folder.inputs.unlink()
    monkeypatch.undo()
    rewrite(first(run.spec.parent / "corpus", "*.flac"))
    run.record()
    assert not run.folder.inputs.exists()


def test_nothing_is_recorded_of_a_function_that_makes_a_network(run: Finished) -> None:
    [model] = run.prepared.plan.models
    made = model.extract.model_copy(update={"model": PYTHON})
    models = (model.model_copy(update={"extract": made}),)
    plan = run.prepared.plan.model_copy(update={"models": models})
    run.folder.inputs.unlink()
    replace(run, prepared=replace(run.prepared, plan=plan)).record()
    assert not run.folder.inputs.exists()


def test_a_table_of_utterances_and_its_audio_are_inputs(tmp_path: Path) -> None:
    one = CsvSettings(path=Path("a.csv"))
    assert corpus_sources(one) == [Path("a.csv").absolute()]
    several = CsvSettings(path={"train": tmp_path / "b.csv", "test": tmp_path / "c.csv"})
    assert corpus_sources(several) == [tmp_path / "b.csv", tmp_path / "c.csv"]


def test_the_second_command_prints_the_same_tables_and_starts_nothing(
    run: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["run", str(run.spec), "--inline", "--display", "none"]
    command += ["--out", str(run.folder.root), "--cache", str(run.options.cache)]
    run.folder.inputs.unlink()
    first_one = CliRunner().invoke(app, command)
    assert first_one.exit_code == 0, first_one.output
    page = run.folder.report.stat().st_mtime_ns
    monkeypatch.setattr("sweep.running.run.run_sweep", None)
    second = CliRunner().invoke(app, command)
    assert second.exit_code == 0, second.output
    assert "the report was not rebuilt" in second.output
    tables = [done.output.partition("nothing to do:")[0] for done in (first_one, second)]
    assert tables[0] == tables[1]
    assert run.folder.report.stat().st_mtime_ns == page


def test_a_second_process_loads_no_engine(run: Finished) -> None:
    code = (
        "import sys\nfrom sweep.running import up_to_date\nup_to_date.SAFE_AGE = -3600.0\n"
        "from sweep.commands.app import app\n"
        "try: app(sys.argv[1:], prog_name='sweep')\nexcept SystemExit: pass\n"
        "print(*{'torch', 'ray', 'sklearn', 'pandas'} & {*sys.modules}, file=sys.stderr)"
    )
    command = ["run", str(run.spec), "--inline", "--display", "none"]
    command += ["--out", str(run.folder.root), "--cache", str(run.options.cache)]
    run.folder.inputs.unlink(missing_ok=True)
    ordinary, second = (
        subprocess.run(
            [sys.executable, "-c", code, *command], capture_output=True, text=True, check=True
        )
        for _ in range(2)
    )
    assert "torch" in ordinary.stderr
    assert second.stderr.strip() == ""
    assert "the report was not rebuilt" in second.stdout


def test_states_tell_a_replaced_file_with_the_old_time(tmp_path: Path) -> None:
    path, other = tmp_path / "a", tmp_path / "b"
    path.write_text("old")
    other.write_text("new")
    before = survey([path])
    shutil.copystat(path, other)
    other.replace(path)
    after = survey([path])
    assert before.digest != after.digest
    assert before.digest != survey([tmp_path / "missing"]).digest


def test_states_follow_links_and_survive_loops(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "near").mkdir()
    (tmp_path / "near" / "link").symlink_to(tmp_path / "far")
    (tmp_path / "near" / "loop").symlink_to(tmp_path / "near")
    before = survey([tmp_path / "near"])
    (tmp_path / "far" / "new").touch()
    assert survey([tmp_path / "near"]).digest != before.digest
