"""What a damaged shard costs; ``faults/test_corrupt_shards`` sees that it is extracted again."""

from collections import deque
from pathlib import Path
from typing import NoReturn
from unittest import mock

import pandas as pd
import pytest

from jobs.activations.manifest import CorruptShard
from jobs.extraction.shard import Shard
from sweep.plan.plan import PlannedModel, PlannedSet
from sweep.running import corrupt_shards
from sweep.running.attempts import Attempts
from sweep.running.corrupt_shards import ShardRepair
from sweep.running.remaining import ModelWork

FOLDER = Path("/cache/set")


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def damaged() -> CorruptShard:
    return CorruptShard(FOLDER, 3, "truncated")


@pytest.fixture
def work() -> ModelWork:
    stored = mock.Mock(spec=PlannedSet, n_shards=0)
    stored.folder.return_value = FOLDER
    model = mock.Mock(spec=PlannedModel, all_sets=[stored])
    model.name = "m"
    return ModelWork(model, deque())


@pytest.fixture
def mended(told: list[str], work: ModelWork) -> ShardRepair:
    attempts = Attempts(lambda where, attempt, reason: told.append(f"{where}: {attempt}"))
    return ShardRepair([work], pd.DataFrame(), FOLDER.parent, attempts, told.append)


def fail(*place: object) -> NoReturn:
    raise OSError("the store does not answer")


def test_a_store_that_fails_while_a_shard_is_set_aside_costs_no_attempt(
    mended: ShardRepair, damaged: CorruptShard, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(corrupt_shards, "set_aside", fail)
        for _ in range(9):
            with pytest.raises(OSError, match="does not answer"):
                mended.again(damaged)
    monkeypatch.setattr(corrupt_shards, "set_aside", lambda folder, index: [])
    monkeypatch.setattr(corrupt_shards, "shards", lambda planned, table, cache: [])
    assert [mended.again(damaged) for _ in range(3)] == [True, True, False]


def test_a_shard_that_is_being_extracted_is_not_set_aside_for_those_that_trip_over_it(
    mended: ShardRepair, work: ModelWork, damaged: CorruptShard, told: list[str]
) -> None:
    work.extracting.add(mock.Mock(spec=Shard, folder=FOLDER, index=3))
    assert mended.again(damaged)
    assert told == []


def test_for_a_model_whose_extraction_failed_nothing_is_mended(
    mended: ShardRepair, work: ModelWork, damaged: CorruptShard, told: list[str]
) -> None:
    work.dead = True
    assert not mended.again(damaged)
    assert told == []
