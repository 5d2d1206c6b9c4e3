"""Worker processes of Ray that die at work: another try, the same tables, and an end to it."""

import re
import signal
import subprocess

from tests.faults.conftest import MakeSweep
from tests.faults.sweeps import (
    EXTRACTING,
    PROBING,
    Process,
    Sweep,
    session,
    wait_for,
    with_signal,
)


def at_work(driver: "subprocess.Popen[str]", task: str) -> list[Process]:
    """The driver's workers that are at this task: Ray calls a process by what it does."""
    return [p for p in session(driver.pid) if p.command.startswith(task)]


def kill_one(driver: "subprocess.Popen[str]", task: str) -> int:
    victim = wait_for(lambda: at_work(driver, task), driver)[0].pid
    with_signal(victim, signal.SIGKILL)
    return victim


def finish(driver: "subprocess.Popen[str]") -> tuple[int, str]:
    out, err = driver.communicate(timeout=600)
    assert "Traceback" not in err
    return driver.returncode, out + err


def test_an_extraction_worker_and_a_probe_worker_die_and_the_tables_are_the_same(
    make_sweep: MakeSweep, undisturbed: Sweep
) -> None:
    sweep = make_sweep("robbed")
    with sweep.driver("--local") as driver:
        kill_one(driver, EXTRACTING)
        kill_one(driver, PROBING)
        code, said = finish(driver)
    assert code == 0, said
    retries = {event["where"].partition(" of ")[0]: event for event in sweep.events("retry")}
    assert any("shard" in where for where in retries), retries
    assert any("shard" not in where for where in retries), retries
    assert all(event["attempt"] == 2 for event in retries.values())
    assert not sweep.events("failure")
    assert len(sweep.ledger()) == len(undisturbed.ledger())
    assert sweep.tables() == undisturbed.tables()


def test_a_model_whose_process_dies_each_time_fails_and_the_other_is_scored(
    make_sweep: MakeSweep, undisturbed: Sweep
) -> None:
    """The test plays the poison: model a's process is killed whenever it begins to extract."""
    sweep = make_sweep("poisoned")
    killed = set()
    with sweep.driver("--local", "--only", "a/*") as driver:
        while not sweep.events("failure"):
            victim = wait_for(lambda: sweep.events("failure") or at_work(driver, EXTRACTING))[0]
            if isinstance(victim, Process):
                with_signal(victim.pid, signal.SIGKILL)
                killed.add(victim.pid)
        code, said = finish(driver)
    assert code == 1, said
    assert 3 <= len(killed) <= 9  # three attempts of each of its three shards at most
    [failure] = [event for event in sweep.events("failure") if event["stage"] == "extract"]
    assert failure["model"] == "a"
    assert "died" in failure["error"].lower()
    n_cells = len(undisturbed.ledger()) // 2
    assert f"0 cells done, {n_cells} failed" in said
    footnotes = (sweep.folder.tables / "models.md").read_text()
    assert re.search(rf"a: {n_cells} cells of .* failed: extraction failed: .*died", footnotes)
    # Nothing of it is held against the next run.
    assert sweep.here().status == "done"
    assert sweep.tables() == undisturbed.tables()
