"""What `sweep gc` drops and what it keeps, on real runs."""

import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from jobs.storage.location import RemotePath
from jobs.storage.object_store import write_text
from sweep.commands import collect_garbage as gc
from sweep.commands.app import app
from sweep.commands.collect_garbage import Item, collect
from sweep.state.cache_users import GcError, Needs, remember_run
from sweep.state.run_folder import RunFolder
from tests.conftest import Values
from tests.faults.sweeps import Sweep
from tests.support.no_figures import draw_nothing

TWO_DAYS = 2 * gc.YOUNG_SECONDS


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory; no figures, which nobody looks at here."""
    monkeypatch.chdir(tmp_path)
    draw_nothing(monkeypatch)
    return tmp_path


@pytest.fixture
def sweeps(spec_values: Values, cache: Path, home: Path) -> tuple[Sweep, Sweep]:
    """Two finished runs that share a cache: in ``results``, and elsewhere."""
    spec_values["layers"], spec_values["probes"] = ["stem", -1], [{"kind": "ridge"}]
    spec_values["controls"], spec_values["baselines"] = [], ["mean"]
    made = []
    for model, run in zip(spec_values["models"], ("results/one", "elsewhere/two"), strict=True):
        sweep = Sweep.make({**spec_values, "models": [model]}, cache, home / "made" / model["name"])
        made.append(Sweep(sweep.spec, home / "made" / "a" / "cache", RunFolder(home / run)))
        assert made[-1].here().status == "done"
    return made[0], made[1]


def age(folder: Path, seconds: float = TWO_DAYS) -> None:
    """Everything below was written that long ago."""
    for path in (folder, *folder.rglob("*")):
        os.utime(path, (time.time() - seconds,) * 2, follow_symlinks=False)


def sets(sweep: Sweep) -> set[str]:
    """The activation ids of a run's plan."""
    plan = json.loads(sweep.folder.plan.read_text())
    return {planned["activation_id"] for model in plan["models"] for planned in model["sets"]}


def there(cache: Path) -> set[str]:
    return {path.name for path in (cache / "activations").iterdir()}


def cli(*words: str) -> Result:
    return CliRunner().invoke(app, ["gc", *words])


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_sets_of_a_run_that_was_deleted_go_and_those_of_another_stay_usable(
    sweeps: tuple[Sweep, Sweep],
) -> None:
    one, two = sweeps
    needed, other = sets(one), sets(two)
    measured = one.cache / "measured" / "x.jsonl"
    measured.parent.mkdir()
    measured.write_text("kept")
    corpora = everything(one.cache / "corpora")
    age(one.cache / "activations")
    # The other is in no folder of results: the cache remembers it.
    assert not any(item.goes for item in collect(one.cache, None, dry_run=False))
    assert there(one.cache) == needed | other

    shutil.rmtree(two.folder.root)
    (two.folder.root.parent / "other work").touch()  # no empty folder: nothing is unmounted
    before = everything(one.cache)
    shown = cli("--cache", str(one.cache), "--dry-run")
    assert shown.exit_code == 0, shown.output
    assert everything(one.cache) == before

    done = cli("--cache", str(one.cache))
    assert done.exit_code == 0, done.output
    assert there(one.cache) == needed
    assert {path.stem for path in (one.cache / "extractions").glob("*/*.json")} == needed
    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        *["drop"] * len(other), *["keep"] * len(needed), "dropped",
    ]  # fmt: skip
    assert done.stdout.replace("dropped 3", "would drop 3") == shown.stdout
    assert f"needed by {one.folder.root}" in done.stdout
    assert measured.read_text() == "kept"
    assert everything(one.cache / "corpora") == corpora
    again = one.here(fresh=True)
    assert (again.status, again.ran_shards) == ("done", 0)


def test_what_was_written_within_a_day_stays_without_a_run(home: Path) -> None:
    cache = made_cache(home, *(letter * 16 for letter in "abc"))
    made_run(home, "a" * 16)
    (cache / "activations" / ("b" * 16) / "shard-00001.json").touch()
    items = collect(cache, None, dry_run=False)
    assert there(cache) == {"a" * 16, "b" * 16}
    assert sum("less than a day ago" in item.why for item in items) == 1


def test_a_run_that_cannot_be_seen_from_here_stops_everything(home: Path) -> None:
    cache = made_cache(home)
    made_run(home, "a" * 16)
    remember_run(cache, RunFolder(home / "not-mounted" / "run"))
    done = cli("--cache", str(cache))
    assert done.exit_code == 2
    assert "not-mounted/run used this cache and cannot be seen from here" in done.stderr
    [note] = (cache / "runs").iterdir()
    assert str(note) in done.stderr
    assert len(there(cache)) == 2
    note.write_text("{}")
    with pytest.raises(GcError, match="does not name a run"):
        collect(cache, None, dry_run=False)


@pytest.mark.parametrize("run", ["mnt/run", "mnt"])
def test_a_run_on_a_disk_that_is_not_mounted_is_not_taken_for_deleted(home: Path, run: str) -> None:
    cache = made_cache(home)
    made_run(home, "a" * 16)
    (home / "mnt").mkdir()  # the mount point, empty now
    remember_run(cache, RunFolder(home / run))
    with pytest.raises(GcError, match=r"cannot be seen from here.*gone for good, delete .*runs"):
        collect(cache, None, dry_run=False)
    assert len(there(cache)) == 2


def begin_after_the_first_look(
    monkeypatch: pytest.MonkeyPatch, begin: Callable[[], object]
) -> None:
    """Something happens as soon as gc has read once what runs need."""
    look, looks = gc.needed_sets, []

    def then(cache: Path, results: Sequence[Path]) -> Needs:
        needs = look(cache, results)
        looks.append(needs)
        if len(looks) == 1:
            begin()
        return needs

    monkeypatch.setattr(gc, "needed_sets", then)


def test_a_run_that_begins_while_sets_go_gets_its_own_back(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = made_cache(home, *(letter * 16 for letter in "abc"))
    made_run(home, "a" * 16)
    before = everything(cache)
    begin_after_the_first_look(monkeypatch, lambda: made_run(home, "b" * 16, name="late"))
    items = collect(cache, None, dry_run=False)
    assert there(cache) == {"a" * 16, "b" * 16}
    assert everything(cache).items() <= before.items()
    assert [item.paths[0].name for item in items if item.goes] == ["c" * 16]


def test_a_set_that_a_run_made_anew_while_it_went_stays_as_it_was_made(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = made_cache(home)
    made_run(home, "a" * 16)
    made = cache / "activations" / ("b" * 16) / "shard-00000.json"
    away = gc._set_aside

    def then_made(item: Item, renamed: dict[Path, Path]) -> Item:
        done = away(item, renamed)
        made_run(home, "b" * 16, name="late")
        made.parent.mkdir()
        made.write_text("anew")
        return done

    monkeypatch.setattr(gc, "_set_aside", then_made)
    collect(cache, None, dry_run=False)
    assert there(cache) == {"a" * 16, "b" * 16}
    assert [path.read_text() for path in made.parent.iterdir()] == ["anew"]


def test_when_it_is_not_known_any_more_what_runs_need_every_set_is_where_it_was(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = made_cache(home)
    made_run(home, "a" * 16)
    before = everything(cache)

    def unreadable() -> None:
        (home / "results" / "late").mkdir()
        (home / "results" / "late" / "plan.json").write_text("{")

    begin_after_the_first_look(monkeypatch, unreadable)
    with pytest.raises(GcError, match="does not tell"):
        collect(cache, None, dry_run=False)
    assert everything(cache) == before


@pytest.mark.parametrize(
    "damage",
    [
        lambda plan: plan.write_text(plan.read_text()[:-100]),
        lambda plan: plan.write_text("{}"),
        lambda plan: plan.write_text('{"models": [{"sets": [{"activation_id": "../.."}]}]}'),
        lambda plan: plan.write_text("[]"),
        lambda plan: plan.unlink(),
    ],
    ids=["torn", "empty", "no id", "list", "missing"],
)
def test_a_run_whose_needs_are_not_known_stops_everything(
    home: Path, damage: Callable[[Path], object]
) -> None:
    cache, run = made_cache(home), RunFolder(home / "results" / "run")
    run.root.mkdir(parents=True)
    run.plan.write_text('{"models": [{"sets": []}]}')
    run.ledger.touch()
    damage(run.plan)
    before = everything(cache)
    done = cli("--cache", str(cache))
    assert done.exit_code == 2
    assert "does not tell what its run needs" in done.stderr
    assert str(run.root.relative_to(home)) in done.stderr
    assert everything(cache) == before


def made_cache(home: Path, *ids: str) -> Path:
    """A cache of sets of one shard each, days old."""
    cache = home / "cache"
    for name in ids or ("a" * 16, "b" * 16):
        folder = cache / "activations" / name
        folder.mkdir(parents=True)
        for suffix in ("json", "safetensors"):
            (folder / f"shard-00000.{suffix}").write_bytes(b"x" * 100)
    age(cache)
    return cache


def made_run(home: Path, *ids: str, name: str = "run") -> Path:
    folder = home / "results" / name
    folder.mkdir(parents=True)
    first, *others = [{"activation_id": one, "split": "x"} for one in ids]
    plan = {"models": [{"name": "m", "sets": [first], "stretched": others[:1]}]}
    plan["models"][0]["recorded"] = others[1] if len(others) > 1 else None
    (folder / "plan.json").write_text(json.dumps(plan))
    return folder


def test_sets_of_any_use_and_of_runs_at_any_depth_stay(home: Path) -> None:
    cache = made_cache(home, *(letter * 16 for letter in "abcdef"))
    made_run(home, "a" * 16, "b" * 16, "f" * 16, name="deep/er/run")
    made_run(home, "c" * 16, name=".remote/demo-12345678")
    outside = made_run(home / "outside", "d" * 16)
    (home / "results" / "link").symlink_to(outside)
    (home / "results" / "loop").symlink_to(home / "results")
    collect(cache, None, dry_run=False)
    assert there(cache) == {letter * 16 for letter in "abcdf"}


def test_what_was_set_aside_or_left_by_killed_work_goes_from_sets_that_stay(home: Path) -> None:
    cache = made_cache(home, "a" * 16)
    made_run(home, "a" * 16)
    folder = cache / "activations" / ("a" * 16)
    scraps = ["shard-00001.json.corrupt", "shard-00001.safetensors.corrupt", ".shard-00002.1.tmp.x"]
    for name in scraps:
        (folder / name).write_bytes(b"x" * 10)
    age(cache)
    (folder / ".shard-00003.1234.tmp.safetensors").touch()  # being written
    items = collect(cache, None, dry_run=False)
    assert sorted((item.n_bytes, item.goes) for item in items) == [
        (10, True), (20, True), (200, False),
    ]  # fmt: skip
    left = {path.name for path in folder.iterdir()}
    assert left == {"shard-00000.json", "shard-00000.safetensors"} | {
        ".shard-00003.1234.tmp.safetensors"
    }


def test_what_dies_in_the_middle_leaves_no_half_set(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = made_cache(home)
    made_run(home, "a" * 16)

    def killed(path: Path) -> None:
        next(path.iterdir()).unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(gc.shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            collect(cache, None, dry_run=False)
    kept, half = sorted(there(cache), reverse=True)
    assert kept == "a" * 16
    assert half.startswith(".gone-" + "b" * 16)
    items = collect(cache, None, dry_run=False)
    assert [item.n_bytes for item in items if item.goes] == [100]
    assert there(cache) == {"a" * 16}


def test_links_are_left_alone(home: Path) -> None:
    cache = made_cache(home)
    made_run(home, "a" * 16)
    outside = home / "outside"
    shutil.move(cache / "activations" / ("b" * 16), outside)
    (cache / "activations" / ("b" * 16)).symlink_to(outside)
    [link] = [item for item in collect(cache, None, dry_run=False) if "link" in item.why]
    assert not link.goes
    assert len(list(outside.iterdir())) == 2
    shutil.move(cache / "activations", home / "moved")
    (cache / "activations").symlink_to(home / "moved")
    with pytest.raises(GcError, match="is a link"):
        collect(cache, None, dry_run=False)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda cache: shutil.rmtree(cache / "activations"), "is not a cache"),
        (lambda cache: (cache / "activations" / "photos").mkdir(), "nothing that `sweep run`"),
        (lambda cache: (cache / "activations" / ("c" * 16)).touch(), "nothing that `sweep run`"),
        (lambda cache: (cache / "activations" / ("a" * 16) / "me.txt").touch(), "is no shard"),
        (lambda cache: (cache / "activations" / ("a" * 16) / "deep").mkdir(), "is no shard"),
    ],
    ids=["no activations", "foreign folder", "file", "foreign file", "folder in a set"],
)
def test_a_folder_that_is_no_cache_is_refused(
    home: Path, make: Callable[[Path], object], message: str
) -> None:
    cache = made_cache(home)
    made_run(home, "a" * 16)
    make(cache)
    before = everything(cache)
    with pytest.raises(GcError, match=message):
        collect(cache, None, dry_run=False)
    assert everything(cache) == before


def test_without_any_run_nothing_goes(home: Path) -> None:
    cache = made_cache(home)
    with pytest.raises(GcError, match=r"no run was found in results: .*--results"):
        collect(cache, None, dry_run=False)
    with pytest.raises(GcError, match="is no folder"):
        collect(cache, [home / "absent"], dry_run=False)
    assert len(there(cache)) == 2


def test_a_folder_that_may_not_be_looked_into_is_said(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = made_cache(home)

    def refuse(path: Path) -> bool:
        if path.name == "private":
            raise PermissionError(13, "Permission denied", str(path))
        return os.path.isdir(path)  # noqa: PTH112 - this stands for the other

    monkeypatch.setattr(Path, "is_dir", refuse)
    done = cli("--cache", str(cache), "--results", "private")
    assert done.exit_code == 2
    assert "private cannot be looked into (Permission denied)" in done.stderr
    assert len(there(cache)) == 2


def test_a_cache_on_an_object_store_is_refused_with_what_to_do() -> None:
    with pytest.raises(GcError, match=r"object store.*s3://a/cache/activations.*lifecycle"):
        collect(RemotePath("s3://a/cache"), None, dry_run=False)


def test_a_run_on_an_object_store_is_asked_for_its_plan(home: Path) -> None:
    cache = made_cache(home)
    remote = RemotePath("memory://gc/runs/demo")
    remember_run(cache, RunFolder(home / "copy", remote))
    plan = {"models": [{"sets": [{"activation_id": "b" * 16}]}]}
    write_text(remote / "plan.json", json.dumps(plan))
    items = collect(cache, None, dry_run=False)
    assert there(cache) == {"b" * 16}
    assert any(item.why == f"needed by {remote}" for item in items)


def test_what_cannot_be_deleted_is_said_and_the_rest_goes(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = made_cache(home, *(letter * 16 for letter in "abc"))
    made_run(home, "a" * 16)
    rename = Path.rename

    def refuse(path: Path, target: Path) -> Path:
        if path.name == "b" * 16:
            raise PermissionError(13, "Permission denied")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    done = cli("--cache", str(cache))
    assert done.exit_code == 1
    assert there(cache) == {"a" * 16, "b" * 16}
    assert "failed" in done.stdout and "Permission denied" in done.stdout


def test_a_line_says_what_how_much_and_why() -> None:
    item = Item((Path("activations") / ("a" * 16),), 3 * 2**30, goes=True, why="no run needs it")
    assert str(item) == f"drop       3.000 GiB  {'a' * 16}  no run needs it"
