"""A corpus that changes between runs: only new audio is extracted, and repaired audio is used."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

from jobs.storage.atomic import write_text
from sweep.running.options import RunOptions
from sweep.running.run import RunResult, run_sweep
from sweep.state.events import EventLog
from tests.conftest import Values
from tests.support.no_figures import draw_nothing

N_UTTERANCES = 140
"""More than two shards."""
SPEC: Values = {
    "name": "changed",
    "protocol": {"kind": "kfold", "folds": 3},
    "targets": ["rating"],
    "models": [{"name": "a", "kind": "wespeaker", "architecture": "SimAM_ResNet34_ASP",
                "model_args": {"in_planes": 2, "embed_dim": 4}}],
    "layers": ["stem", "embedding"],
    "baselines": [],
    "controls": [],
    "probes": [{"kind": "ridge", "alphas": [1.0]}],
    "bootstrap": {"resamples": 100},
}  # fmt: skip

Run = Callable[..., RunResult]


@pytest.fixture
def audio(tmp_path: Path) -> list[Path]:
    """Noises of different lengths, from 0.2 s."""
    paths = []
    for number in range(N_UTTERANCES):
        rng = np.random.default_rng(number)
        path = tmp_path / f"{number:03d}.flac"
        soundfile.write(path, 0.1 * rng.standard_normal(3200 + 16 * number), 16_000)
        paths.append(path)
    return paths


@pytest.fixture
def run(
    write_spec: Callable[[Values], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Run:
    """Runs the spec on some utterances, given by their numbers."""
    draw_nothing(monkeypatch)

    def run(
        numbers: list[int], *, cache: str = "cache", out: str = "out", **keys: Any
    ) -> RunResult:
        with (tmp_path / "corpus.csv").open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["audio_path", "speaker_id", "split", "rating"])
            for number in numbers:
                rating = np.random.default_rng(number).standard_normal()
                table.writerow([f"{number:03d}.flac", f"s{number % 9}", "all", rating])
        corpus = {"corpus": {"kind": "csv", "path": str(tmp_path / "corpus.csv")}}
        options = RunOptions(where="inline", cache=tmp_path / cache, out=tmp_path / out)
        with EventLog() as events:
            return run_sweep(write_spec(SPEC | corpus | keys), options, events)

    return run


def extracted(result: RunResult) -> list[int]:
    """Numbers of utterances that passed through the network, by shard, of all of its runs."""
    lines = map(json.loads, result.folder.events.read_text().splitlines())
    done = [event for event in lines if event["kind"] == "shard_done"]
    return [event["utterances"] - event["copied"] for event in done]


def metrics(result: RunResult) -> pd.DataFrame:
    return pd.read_csv(result.folder.tables / "metrics.csv").drop(columns=["seconds", "cell_id"])


def test_only_new_utterances_pass_through_the_network(audio: list[Path], run: Run) -> None:
    everyone = list(range(N_UTTERANCES))
    assert sum(extracted(run(everyone[3:]))) == N_UTTERANCES - 3
    fewer = run([number for number in everyone[3:] if number not in {7, 70, 139}], out="fewer")
    assert sum(extracted(fewer)) == 0
    more = run(everyone, out="more")
    assert sum(extracted(more)) == 3
    fresh = run(everyone, out="fresh", cache="other cache")
    assert sum(extracted(fresh)) == N_UTTERANCES
    # Rounding: the batches are others.
    pd.testing.assert_frame_equal(metrics(more), metrics(fresh), rtol=1e-4, atol=1e-5)


def test_rows_are_not_copied_from_a_damaged_shard(
    audio: list[Path], run: Run, tmp_path: Path
) -> None:
    first = run(list(range(130)))
    assert len(extracted(first)) == 3
    for shard in (tmp_path / "cache" / "activations").rglob("shard-00001.safetensors"):
        data = bytearray(shard.read_bytes())
        data[-5] ^= 1
        shard.write_bytes(data)
    assert sum(extracted(run(list(range(129)), out="fewer"))) == 64


def test_a_list_of_contents_that_was_edited_is_not_used(
    audio: list[Path], run: Run, tmp_path: Path
) -> None:
    run(list(range(20)))
    [contents] = (tmp_path / "cache" / "extractions").rglob("*.json")
    write_text(contents, contents.read_text().replace('"000"', '"001"', 1))
    assert sum(extracted(run(list(range(19)), out="fewer"))) == 19


def test_sums_are_not_taken_for_rows(audio: list[Path], run: Run) -> None:
    gram = run(list(range(30)), store="gram", out="gram")
    assert gram.status == "done"
    assert sum(extracted(run(list(range(29))))) == 29


def test_repaired_audio_is_used_by_the_same_command(audio: list[Path], run: Run) -> None:
    whole = audio[4].read_bytes()
    audio[4].write_bytes(whole[:200] + bytes(len(whole) - 200))  # the header is as before
    damaged = run(list(range(40)))
    assert metrics(damaged)["n_test"].sum() == 2 * 39
    assert damaged.run is not None
    assert [one.utterance_id for one in damaged.run.skipped] == ["004"]
    assert run(list(range(40))).ran_cells == 0
    audio[4].write_bytes(whole)
    repaired = run(list(range(40)))
    assert metrics(repaired)["n_test"].sum() == 2 * 40
    assert extracted(repaired) == [39, 1]
    assert repaired.run is not None
    assert repaired.run.skipped == []
    assert run(list(range(40))).ran_cells == 0


def test_cells_of_another_run_follow_a_repair_in_the_shared_cache(
    audio: list[Path], run: Run
) -> None:
    whole = audio[4].read_bytes()
    audio[4].write_bytes(whole[:200] + bytes(len(whole) - 200))
    run(list(range(40)), out="one")
    run(list(range(40)), out="two")
    audio[4].write_bytes(whole)
    run(list(range(40)), out="one")
    two = run(list(range(40)), out="two")
    assert metrics(two)["n_test"].sum() == 2 * 40
    assert extracted(two) == []


@pytest.mark.parametrize("store", ["activations", "gram"])
def test_a_run_with_audio_that_stays_damaged_is_complete(
    audio: list[Path], run: Run, store: str
) -> None:
    audio[4].write_bytes(audio[4].read_bytes()[:200])
    first = run(list(range(40)), store=store)
    assert first.status == "done"
    again = run(list(range(40)), store=store)
    assert (again.ran_shards, again.ran_cells) == (0, 0)
