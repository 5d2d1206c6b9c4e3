"""A recording that is damaged after the plan was made: left out, told of, and back when mended."""

import csv
import shutil
from pathlib import Path

import pandas as pd
import pytest

from sweep.running.options import RunOptions
from sweep.running.run import RunResult, run_sweep
from sweep.state.events import Event, EventLog
from tests.faults.conftest import MakeSweep
from tests.faults.sweeps import Sweep

pytestmark = pytest.mark.usefixtures("no_plots")


@pytest.fixture
def sweep(make_sweep: MakeSweep) -> Sweep:
    """With recordings of its own, which may be damaged."""
    made = make_sweep("sweep")
    corpora = made.cache / "corpora"
    spoken = corpora.resolve()
    corpora.unlink()
    shutil.copytree(spoken, corpora)
    return made


def run_and_cut(sweep: Sweep, row: int) -> tuple[RunResult, Path]:
    """Run; of one utterance half of the file is gone when extraction begins."""
    victim = [Path()]

    def cut(event: Event) -> None:
        if event["kind"] == "planned":
            victim[0] = Path(pd.read_csv(sweep.folder.utterances)["audio_path"][row])
            content = victim[0].read_bytes()
            victim[0].write_bytes(content[: len(content) // 2])

    options = RunOptions(where="inline", out=sweep.folder.root, cache=sweep.cache)
    with EventLog([cut]) as events:
        return run_sweep(sweep.spec, options, events), victim[0]


def test_a_corrupt_file_in_the_middle_of_a_shard_costs_that_utterance_alone(
    sweep: Sweep, undisturbed: Sweep, cache: Path
) -> None:
    table = pd.read_csv(undisturbed.folder.utterances)
    row = int(table.index[table["split"] == "train"][7])
    result, damaged = run_and_cut(sweep, row)
    assert (result.status, result.failed) == ("done", 0)
    with sweep.folder.skipped.open(newline="") as file:
        [skipped] = csv.DictReader(file)
    assert skipped["utterance_id"] == table["utterance_id"][row]
    assert skipped["reason"]
    rows = sweep.tables()["metrics.csv"]
    whole = undisturbed.tables()["metrics.csv"]
    assert isinstance(rows, list) and isinstance(whole, list)
    assert {int(one["n_train"]) for one in rows} == {int(whole[0]["n_train"]) - 1}
    assert [one["cell_id"] for one in rows] == [one["cell_id"] for one in whole]
    notes = (sweep.folder.tables / "models.md").read_text()
    assert "1 utterance" in notes
    # Mended, the file is read again, and the tables are those of a corpus that was always whole.
    shutil.copy(cache / damaged.relative_to(sweep.cache), damaged)
    assert sweep.here(fresh=True).status == "done"
    assert sweep.tables() == undisturbed.tables()
