"""Activation sets: their shards, and the missing ones."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from jobs.activations.skips import file_state
from jobs.activations.store import write_shard
from jobs.corpus.skipped import Skipped
from sweep.plan import activation_sets
from sweep.plan.activation_sets import shards
from sweep.running.remaining import survey_shards
from tests.conftest import Values
from tests.support.small_plans import MakePlan, info, infos, small_table


@pytest.fixture
def table() -> pd.DataFrame:
    return small_table()


@pytest.fixture
def make(spec_values: Values, table: pd.DataFrame) -> MakePlan:
    return MakePlan(spec_values, table)


def test_shards_cover_every_utterance_once_in_order(
    make: MakePlan, table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activation_sets, "SHARD_UTTERANCES", 5)
    plan = make()
    for planned in plan.models[0].sets:
        made = shards(planned, table, Path("/cache"))
        assert [shard.index for shard in made] == list(range(planned.n_shards))
        ids = [name for shard in made for name in shard.utterance_ids]
        assert ids == list(table.loc[table["split"] == planned.split, "utterance_id"])
        assert max(len(shard.utterance_ids) for shard in made) <= 5


def test_a_shard_of_wide_layers_holds_fewer_utterances(make: MakePlan) -> None:
    wide = info(names=tuple(f"layer{i}" for i in range(10_000)))
    [planned, *_] = make(models={**infos(), "a": wide}).models[0].sets
    assert planned.shard_size * 10_000 * 640 * 4 <= activation_sets.SHARD_BYTES


def test_a_layer_pattern_may_match_one_model_only(make: MakePlan) -> None:
    plan = make(
        models={**infos(), "b": info(names=("encoder.0", "stem"))}, layers=["encoder.*", "stem"]
    )
    assert [[layer.name for layer in m.layers] for m in plan.models[:2]] == [
        ["stem"],
        ["encoder.0", "stem"],
    ]


def test_shards_carry_the_digest_of_their_weights(make: MakePlan, table: pd.DataFrame) -> None:
    for model in make().models:
        for planned in model.sets:
            for shard in shards(planned, table, Path("/cache")):
                assert shard.model_digest == model.digest


def test_a_shard_is_extracted_again_after_a_skipped_file_is_repaired(
    make: MakePlan, table: pd.DataFrame, tmp_path: Path
) -> None:
    audio = tmp_path / "1-1-0.flac"
    audio.write_bytes(b"damaged")
    here = table["utterance_id"] == "1-1-0"
    table = table.assign(audio_path=table["audio_path"].mask(here, str(audio)))
    model = make(table=table).models[0]
    for planned in model.sets:
        for shard in shards(planned, table, tmp_path):
            left_out = [name for name in shard.utterance_ids if name == "1-1-0"]
            rest = [name for name in shard.utterance_ids if name not in left_out]
            values = {"stem": np.zeros((len(rest), 2), dtype=np.float32)}
            skipped = [Skipped(name, str(audio), "truncated") for name in left_out]
            files = [file_state(str(audio))] * len(left_out)
            write_shard(shard.folder, shard.index, values, rest, skipped, {}, files)

    def missing() -> list[str]:
        return [shard.folder.name for shard in survey_shards(model, table, tmp_path).missing]

    assert missing() == []
    audio.write_bytes(b"mended")
    assert missing() == [s.activation_id for s in model.sets if s.split == "train"]
