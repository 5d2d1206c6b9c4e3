"""A driver that is killed, stopped or doubled: the same command goes on, to the same tables."""

import os
import random
import re
import signal
import subprocess
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from sweep.errors import RunIsLocked
from sweep.state.run_folder import RunFolder
from tests.faults.conftest import MakeSweep
from tests.faults.sweeps import Sweep, held, session, wait_for, with_signal

RAY_AGENTS = ("ray::DashboardAgent", "ray::RuntimeEnvAgent")
"""Ray's own helpers, which notice only after up to a minute that their raylet is gone."""


@dataclass
class Progress:
    """What was finished when drivers died; it must stand as it was for ever after."""

    sweep: Sweep
    ledger: list[str] = field(default_factory=list)
    shards: dict[str, int] = field(default_factory=dict)

    def note(self) -> None:
        """Check what was finished before, and remember what is finished now."""
        ledger, shards = self.sweep.ledger(), self.sweep.shards()
        assert ledger[: len(self.ledger)] == self.ledger, "finished cells were written anew"
        assert {name: shards[name] for name in self.shards} == self.shards, "extracted again"
        self.ledger, self.shards = ledger, shards

    def check_finished(self, undisturbed: Sweep) -> None:
        self.note()
        assert sorted(self.ledger) == sorted(set(self.ledger))
        ids = [re.search(r'"cell_id":"(\w+)"', line).group(1) for line in self.ledger]  # type: ignore[union-attr]
        assert len(ids) == len(set(ids)) == len(undisturbed.ledger())
        assert self.shards.keys() == undisturbed.shards().keys()
        assert self.sweep.tables() == undisturbed.tables()
        assert list(self.sweep.folder.root.rglob("*.tmp*")) == []


def kill(process: "subprocess.Popen[str]") -> None:
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the driver was done before it could be killed"


def working(leader: int) -> list[str]:
    """What of a driver's session is still there, but for Ray's agents."""
    return [p.command for p in session(leader) if not p.command.startswith(RAY_AGENTS)]


def test_killed_at_every_stage_and_started_again(make_sweep: MakeSweep, undisturbed: Sweep) -> None:
    sweep = make_sweep("killed")
    progress = Progress(sweep)

    def reporting() -> bool:
        return any(event["stage"] == "report" for event in sweep.events("stage_started"))

    first, second = sorted(random.Random(20).sample(range(2, 24), 2))
    for moment in (
        lambda: len(sweep.shards()) >= 2,
        lambda: len(sweep.ledger()) >= first,
        lambda: len(sweep.ledger()) >= second,
        reporting,
    ):
        with sweep.driver("--inline", drawn=True) as process:  # or it may be done before
            wait_for(moment, process)
            kill(process)
        progress.note()
    with sweep.driver("--inline") as process:
        out, err = process.communicate(timeout=600)
        assert process.returncode == 0, err
    assert f"nothing to do: all {len(sweep.ledger())} cells are done" in out
    progress.check_finished(undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_killed_at_random_moments(make_sweep: MakeSweep, undisturbed: Sweep, seed: int) -> None:
    """Every fourth time on Ray, which takes seconds to start and to find work."""
    sweep = make_sweep("killed")
    progress = Progress(sweep)
    dice = random.Random(seed)
    where, seconds = ("--local", 12.0) if seed % 4 == 0 else ("--inline", 1.0)
    for _ in range(3):
        with sweep.driver(where) as process:
            wait_for(sweep.folder.events.exists, process)
            time.sleep(dice.uniform(0, seconds))
            with_signal(process.pid, signal.SIGKILL)
            process.wait()
            # The next one begins while what this one left may still be at work.
            progress.note()
    sweep.here()
    progress.check_finished(undisturbed)


def test_killed_on_ray_its_workers_end_and_the_next_driver_goes_on(
    make_sweep: MakeSweep, undisturbed: Sweep
) -> None:
    sweep = make_sweep("killed")
    progress = Progress(sweep)
    with sweep.driver("--local") as process:
        wait_for(lambda: len(sweep.ledger()) >= 2, process)
        kill(process)
        # The next one begins while the orphans of the first may still be at work.
        assert sweep.here(where="local").status == "done"
        wait_for(lambda: not working(process.pid))
    progress.check_finished(undisturbed)


def test_a_second_driver_is_refused_and_does_no_harm(
    make_sweep: MakeSweep, undisturbed: Sweep
) -> None:
    sweep = make_sweep("one")
    go_on = sweep.spec.parent / "go-on"
    with sweep.driver("--inline", before=held(until=go_on)) as first:
        wait_for(sweep.ledger, first)
        os.kill(first.pid, signal.SIGSTOP)
        with sweep.driver("--inline") as second:
            _, message = second.communicate(timeout=600)
            assert second.returncode == 2
        assert f"is being worked on by process {first.pid}" in message
        assert "Traceback" not in message
        with pytest.raises(RunIsLocked):
            sweep.here(fresh=True)
        go_on.touch()
        os.kill(first.pid, signal.SIGCONT)
        first.communicate(timeout=600)
        assert first.returncode == 0
    Progress(sweep).check_finished(undisturbed)


@pytest.mark.slow
def test_two_runs_that_share_a_cache_do_each_other_no_harm(
    make_sweep: MakeSweep, undisturbed: Sweep, tmp_path: Path
) -> None:
    one = make_sweep("one")
    other = replace(one, folder=RunFolder(tmp_path / "other"))
    with one.driver("--inline") as first, other.driver("--inline") as second:
        for process in (first, second):
            _, err = process.communicate(timeout=600)
            assert process.returncode == 0, err
    assert one.tables() == other.tables() == undisturbed.tables()


@pytest.mark.parametrize(
    ("where", "number", "code"),
    [
        ("--inline", signal.SIGTERM, 143),
        ("--local", signal.SIGINT, 130),
        pytest.param("--inline", signal.SIGINT, 130, marks=pytest.mark.slow),
        pytest.param("--local", signal.SIGTERM, 143, marks=pytest.mark.slow),
    ],
)
def test_a_signal_stops_a_run_that_says_how_to_go_on(
    make_sweep: MakeSweep, undisturbed: Sweep, where: str, number: signal.Signals, code: int
) -> None:
    sweep = make_sweep("stopped")
    progress = Progress(sweep)
    go_on = sweep.spec.parent / "go-on"
    with sweep.driver(where, "--fresh", before=held(until=go_on)) as process:
        wait_for(sweep.ledger, process)
        # A terminal sends Ctrl-C to all processes of the group, Ray's among them.
        os.killpg(process.pid, number) if number == signal.SIGINT else process.send_signal(number)
        go_on.touch()
        out, err = process.communicate(timeout=600)
        assert process.returncode == code, err
        wait_for(lambda: not working(process.pid))
    assert f"stopped; resume with: sweep run {sweep.spec} {where} --display none" in err
    assert "--fresh" not in err
    assert "interrupted" in out
    assert sweep.events("run_finished")[-1]["status"] == "interrupted"
    progress.note()
    assert sweep.here().status == "done"
    progress.check_finished(undisturbed)


def test_ctrl_c_twice_ends_a_driver_whose_work_would_take_longer(
    make_sweep: MakeSweep, undisturbed: Sweep
) -> None:
    sweep = make_sweep("stopped")
    progress = Progress(sweep)
    with sweep.driver("--local") as process:
        wait_for(sweep.ledger, process)
        for worker in session(process.pid):
            if worker.command.startswith("ray::"):  # from now on nothing comes back
                with_signal(worker.pid, signal.SIGSTOP)
        os.killpg(process.pid, signal.SIGINT)
        wait_for(lambda: "finishing what is in flight" in sweep.folder.driver_log.read_text())
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=600)
        assert process.returncode == 130, err
        assert "Traceback" not in err
        wait_for(lambda: not working(process.pid))
    assert sweep.events("run_finished") == []  # it was not waited for
    progress.note()
    assert sweep.here().status == "done"
    progress.check_finished(undisturbed)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_ray_starts_is_heard_too(
    make_sweep: MakeSweep, undisturbed: Sweep, number: signal.Signals, code: int
) -> None:
    sweep = make_sweep("stopped")
    with sweep.driver("--local") as process:
        wait_for(lambda: [p for p in session(process.pid) if "gcs_server" in p.command], process)
        process.send_signal(number)
        _, err = process.communicate(timeout=600)
        assert process.returncode == code, err
        wait_for(lambda: not working(process.pid))
    assert f"stopped; resume with: sweep run {sweep.spec}" in err
    assert "Traceback" not in err
    assert sweep.ledger() == []
    assert sweep.here().status == "done"
    assert sweep.tables() == undisturbed.tables()


def test_sigterm_while_tables_are_made_says_how_to_go_on(
    make_sweep: MakeSweep, undisturbed: Sweep
) -> None:
    """Long after the driver has stopped to listen, and where Ray had a handler of its own."""
    sweep = make_sweep("stopped")
    with sweep.driver("--local", drawn=True) as process:
        wait_for(
            lambda: any(event["stage"] == "report" for event in sweep.events("stage_started")),
            process,
        )
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=600)
        assert process.returncode == 143, err
    assert f"stopped; resume with: sweep run {sweep.spec}" in err
    assert "Traceback" not in err
    assert sweep.here().ran_cells == 0
    assert sweep.tables() == undisturbed.tables()


def test_ctrl_c_before_anything_ran_says_how_to_go_on_too(make_sweep: MakeSweep) -> None:
    sweep = make_sweep("stopped")
    sweep.cache.joinpath("corpora").unlink()  # speaking it anew takes a while
    with sweep.driver("--inline") as process:
        wait_for(lambda: list(sweep.cache.rglob("*.flac")), process)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=600)
        assert process.returncode == 130, err
    assert f"stopped; resume with: sweep run {sweep.spec}" in err
    assert "Traceback" not in err
    assert not sweep.folder.root.exists()
