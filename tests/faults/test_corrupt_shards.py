"""Activations that are damaged between two runs are noticed, set aside and made again: no other."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.activations.manifest import CorruptShard
from jobs.extraction.extractor import Extractor
from jobs.job import Job
from sweep import open_run
from sweep.executors.base import Outcome
from sweep.executors.inline import InlineExecutor
from sweep.plan.activation_sets import shards
from tests.faults.conftest import MakeSweep
from tests.faults.sweeps import Sweep

Damage = Callable[[Path], None]

pytestmark = pytest.mark.usefixtures("no_plots")


def cut_the_tensors(manifest: Path) -> None:
    data = manifest.with_suffix(".safetensors")
    os.truncate(data, data.stat().st_size // 2)


def empty_the_tensors(manifest: Path) -> None:
    os.truncate(manifest.with_suffix(".safetensors"), 0)


def delete_the_tensors(manifest: Path) -> None:
    manifest.with_suffix(".safetensors").unlink()


def tear_the_manifest(manifest: Path) -> None:
    os.truncate(manifest, manifest.stat().st_size // 2)


def flip_a_bit_of_the_stem(manifest: Path) -> None:
    """The file's header says where the stem's bytes are; only a checksum can tell."""
    data = manifest.with_suffix(".safetensors")
    content = bytearray(data.read_bytes())
    header = int.from_bytes(content[:8], "little")
    start, _ = json.loads(content[8 : 8 + header])["stem"]["data_offsets"]
    content[8 + header + start] ^= 1
    data.write_bytes(content)


DAMAGES = (
    cut_the_tensors,
    empty_the_tensors,
    delete_the_tensors,
    tear_the_manifest,
    flip_a_bit_of_the_stem,
)


def damage_one(sweep: Sweep, damage: Damage) -> Path:
    """Damage the first of the finished shards; returns its manifest."""
    manifest = min(sweep.cache.glob("activations/*/shard-*.json"))
    damage(manifest)
    return manifest


def check_one_was_made_again(sweep: Sweep, manifest: Path, before: dict[str, int]) -> None:
    after = sweep.shards()
    assert after.keys() == before.keys()
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {f"{manifest.parent.name}/{manifest.stem}"}
    aside = [path.name for path in sweep.cache.glob("activations/*/*.corrupt")]
    assert aside and all(name.startswith(manifest.stem) for name in aside)
    [warning] = [event["message"] for event in sweep.events("warning")]
    assert manifest.stem in warning
    assert "set aside as" in warning
    assert aside[0] in warning
    assert len(sweep.events("shard_done")) == 1


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_shard_is_set_aside_and_it_alone_is_extracted_again(
    make_sweep: MakeSweep, damage: Damage
) -> None:
    sweep = make_sweep("sweep")
    sweep.here()
    expected, before = sweep.tables(), sweep.shards()
    manifest = damage_one(sweep, damage)
    assert sweep.here(fresh=True).status == "done"
    assert sweep.tables() == expected
    check_one_was_made_again(sweep, manifest, before)


def test_on_ray_layers_that_trip_over_a_shard_together_have_it_extracted_once(
    make_sweep: MakeSweep,
) -> None:
    sweep = make_sweep("sweep")
    sweep.here()
    expected, before = sweep.tables(), sweep.shards()
    manifest = damage_one(sweep, flip_every_layer)
    assert sweep.here(fresh=True, where="local").status == "done"
    assert sweep.tables() == expected
    check_one_was_made_again(sweep, manifest, before)


def flip_every_layer(manifest: Path) -> None:
    data = manifest.with_suffix(".safetensors")
    content = bytearray(data.read_bytes())
    header = int.from_bytes(content[:8], "little")
    for layer in json.loads(content[8 : 8 + header]).values():
        content[8 + header + layer["data_offsets"][0]] ^= 1
    data.write_bytes(content)


def test_all_shards_that_were_deleted_since_are_made_again_before_the_next_probe(
    make_sweep: MakeSweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = make_sweep("sweep")
    release, wait = InlineExecutor.release, InlineExecutor.wait
    trips: list[str] = []

    def delete_once(executor: InlineExecutor, job: Job, *, last: bool) -> None:
        release(executor, job, last=last)
        if not trips:
            for path in sweep.cache.glob("activations/*/shard-*"):
                path.unlink()

    def watched(executor: InlineExecutor, seconds: float) -> list[Outcome]:
        outcomes = wait(executor, seconds)
        trips.extend(str(one.error) for one in outcomes if isinstance(one.error, CorruptShard))
        return outcomes

    monkeypatch.setattr("sweep.plan.activation_sets.SHARD_UTTERANCES", 5)
    monkeypatch.setattr(InlineExecutor, "release", delete_once)
    monkeypatch.setattr(InlineExecutor, "wait", watched)
    assert sweep.here(only="a/stem/*").status == "done"
    assert len(sweep.shards()) > 5
    assert len(trips) == 1, trips


@pytest.mark.parametrize("damage", DAMAGES[:4], ids=lambda damage: damage.__name__)
def test_a_shard_that_nothing_needs_any_more_may_be_damaged_or_gone(
    make_sweep: MakeSweep, damage: Damage
) -> None:
    sweep = make_sweep("sweep")
    sweep.here()
    expected = sweep.tables()
    damage_one(sweep, damage)
    again = sweep.here()
    assert (again.status, again.ran_shards, again.ran_cells) == ("done", 0, 0)
    assert sweep.tables() == expected


def test_a_shard_that_another_run_finished_meanwhile_is_left_alone(make_sweep: MakeSweep) -> None:
    """Two runs may share a cache, and a killed driver's workers may outlive it by a shard."""
    sweep = make_sweep("sweep")
    sweep.here()
    before, run = sweep.shards(), open_run(sweep.folder.root)
    model = run.plan.models[0]
    extractor = Extractor(model.extract)
    for shard in shards(model.sets[0], run.utterances, sweep.cache):
        assert extractor.extract(shard).n_utterances == len(shard.utterance_ids)
    assert sweep.shards() == before
