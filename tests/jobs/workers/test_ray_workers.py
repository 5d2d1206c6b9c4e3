"""The work of jobs in processes of a real Ray on this machine: what it does, and how it ends."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
import soundfile

from jobs.activations.cache_layout import data_path
from jobs.activations.manifest import CorruptShard
from jobs.activations.store import read_layer, write_shard
from jobs.corpus.table import Utterance, make_table, write_table
from jobs.extraction.extractor import Extractor
from jobs.extraction.job import ExtractJob
from jobs.extraction.settings import ExtractSettings
from jobs.extraction.shard import Shard, ShardReport
from jobs.models import load_model
from jobs.models.baselines.settings import BaselineSettings
from jobs.models.describe import weights_digest
from jobs.models.errors import ModelError
from jobs.models.python.settings import PythonSettings
from jobs.probes import RidgeSettings
from jobs.probing.job import ProbeJob, probe_layer
from jobs.protocol.cells import Cell
from jobs.protocol.predictions import read_predictions
from jobs.protocol.settings import Protocols, SplitsProtocol
from jobs.similarity.job import ComparisonReport, SketchJob
from jobs.workers import ray_workers
from jobs.workers.node import NodeReport

CPUS, MEMORY = 4, 2**30
NOWHERE = "0123456789abcdef" * 3 + "01234567"
"""The id of a node that there is not."""
PATIENCE = 600.0
"""Seconds after which waiting is given up."""
DURATION = BaselineSettings(name="duration", what="duration")
FBANK = BaselineSettings(name="fbank", what="fbank")
FACTORY = """\
import os
from pathlib import Path

import torch


def network(seen: str) -> torch.nn.Module:
    Path(seen).write_text(f"{torch.get_num_threads()} {os.environ.get('CUDA_VISIBLE_DEVICES')}")
    return torch.nn.Linear(80, 1)
"""


@pytest.fixture(scope="module")
def node() -> Iterator[str]:
    """Ray's id of the only node of a cluster of its own."""
    ray.init(
        "local", num_cpus=CPUS, num_gpus=0, _memory=MEMORY, include_dashboard=False,
        log_to_driver=False, logging_level="ERROR",
    )  # fmt: skip
    yield ray.get_runtime_context().get_node_id()
    ray.shutdown()


@pytest.fixture
def start(node: str) -> Iterator[Callable[..., Any]]:
    """Starts actors that are ended with the test."""
    actors = []

    def start(**options: Any) -> Any:
        usual = {"gpus": 0, "cpus": 1, "memory": 0, "hide_gpus": False, "seconds": None}
        actors.append(ray_workers.start_actor(node, **{**usual, **options}))
        return actors[-1]

    yield start
    for actor in actors:
        ray_workers.end(actor)
    until_free(CPUS)


def extract(actor: Any, settings: ExtractSettings, shard: Shard) -> Any:
    return ray_workers.submit_to_actor(actor, ExtractJob("m", settings, shard))


def submit(job: Any, **options: Any) -> Any:
    usual = {"cpus": 1, "reserved": 1, "memory": 0, "nodes": None, "hide_gpus": False}
    return ray_workers.submit_task(job, **{**usual, "seconds": None, **options})


def ended(ref: Any) -> ray_workers.Ended:
    assert ray_workers.wait([ref], PATIENCE) == [ref]
    return ray_workers.collect(ref)


def until_free(cpus: float, memory: float = MEMORY) -> None:
    """Wait until the cluster has so much left: it hears of what changed a moment later."""
    for _ in range(int(10 * PATIENCE)):
        free = ray.available_resources()
        if (free.get("CPU", 0), free.get("memory", 0)) == (cpus, memory):
            return
        time.sleep(0.1)
    pytest.fail(f"expected {cpus} CPUs and {memory} bytes, found {free}")


@pytest.fixture
def shard(tmp_path: Path) -> Shard:
    """Two utterances of one second, to be extracted by the duration baseline."""
    return shard_in(tmp_path, "d", DURATION)


def shard_in(folder: Path, name: str, model: BaselineSettings) -> Shard:
    paths = [folder / f"{speaker}.wav" for speaker in "ab"]
    for seed, path in enumerate(paths):
        noise = np.random.default_rng(seed).normal(0, 0.1, 16_000 + 160 * seed)
        soundfile.write(path, noise, 16_000)
    return Shard(
        folder=folder / name, index=0, utterance_ids=("a", "b"),
        audio_paths=tuple(map(str, paths)), model_digest=weights_digest(load_model(model)),
    )  # fmt: skip


@pytest.fixture
def job(tmp_path: Path) -> ProbeJob:
    """A ridge probe of one layer of 12 utterances, whose activations are on the disk."""
    rows = [
        Utterance(
            f"{speaker}-{number}", "/nowhere.flac", "A", speaker, "1", split, 1.0, 16_000, "digest"
        )
        for split, speakers in {"train": "AB", "validation": "C", "test": "D"}.items()
        for speaker in speakers for number in range(3)
    ]  # fmt: skip
    table = make_table(rows)
    X = np.random.default_rng(0).normal(size=(len(table), 3)).astype(np.float32)
    write_table(tmp_path / "table.csv", table.assign(y=X @ [1.0, -2.0, 0.5]))
    write_shard(tmp_path / "set", 0, {"layer": X}, list(table["utterance_id"]), [], {})
    return ProbeJob(
        model="m", layer="layer", activations=((tmp_path / "set", 1),),
        table=tmp_path / "table.csv", probes={"ridge": RidgeSettings()},
        protocols=Protocols(SplitsProtocol()), cells=(Cell("0" * 16, "ridge", "y", 0, 0, "none"),),
        predictions=tmp_path / "predictions.npz",
    )  # fmt: skip


def test_an_actor_extracts_what_this_process_would_one_model_after_another(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    actor = start()
    for model, layer in ((DURATION, "duration"), (FBANK, "statistics"), (DURATION, "duration")):
        settings = ExtractSettings(model=model)
        there, here = (shard_in(tmp_path, f"{name}-{layer}", model) for name in ("there", "here"))
        got = ended(extract(actor, settings, there))
        report = Extractor(settings).extract(here)
        assert got.error is None and got.died is None
        assert isinstance(got.result, ShardReport)
        assert got.result.n_utterances == report.n_utterances == 2
        (names, values), (_, expected) = (read_layer(one.folder, 1, layer) for one in (there, here))
        assert names == ["a", "b"]
        np.testing.assert_array_equal(values, expected)


def test_an_error_of_an_actor_is_its_own_and_the_next_shard_goes_well(
    start: Callable[..., Any], shard: Shard, tmp_path: Path
) -> None:
    actor = start()
    settings = ExtractSettings(model=DURATION)
    got = ended(extract(actor, settings, replace(shard, model_digest="of another model")))
    assert type(got.error) is ModelError and got.died is None
    assert "expected the digest of another model" in str(got.error)
    missing = PythonSettings(
        name="m", factory="not_there:network", folder=tmp_path, input="fbank", taps=("*",)
    )
    got = ended(extract(actor, ExtractSettings(model=missing), shard))
    assert type(got.error) is ModelError and "not_there cannot be imported" in str(got.error)
    assert ended(extract(actor, settings, shard)).result.n_utterances == 2


def test_an_actor_has_the_threads_of_its_cpus_and_sees_no_gpu_where_they_are_hidden(
    start: Callable[..., Any], shard: Shard, tmp_path: Path
) -> None:
    (tmp_path / "threads_factory.py").write_text(FACTORY)
    seen = tmp_path / "seen"
    model = PythonSettings(
        name="m", factory="threads_factory:network", args={"seen": str(seen)}, folder=tmp_path,
        input="fbank", taps=("*",),
    )  # fmt: skip
    actor = start(cpus=3, hide_gpus=True)
    ended(extract(actor, ExtractSettings(model=model), shard))
    assert seen.read_text() == "3 "


def test_an_actor_holds_its_cpus_and_memory_until_it_is_ended(
    start: Callable[..., Any], shard: Shard
) -> None:
    actor = start(cpus=3, memory=2**29)
    ended(extract(actor, ExtractSettings(model=DURATION), shard))
    until_free(CPUS - 3, MEMORY - 2**29)
    ray_workers.end(actor)
    until_free(CPUS)
    got = ended(extract(actor, ExtractSettings(model=DURATION), shard))
    assert got.died == "died" and got.result is None
    assert isinstance(got.error, ray.exceptions.ActorDiedError)


def test_a_probe_task_gives_back_what_this_process_would_and_where_it_ran(
    node: str, job: ProbeJob
) -> None:
    got = ended(submit(job))
    assert (got.node, got.error, got.died) == (node, None, None)
    assert isinstance(job.predictions, Path)
    predicted = read_predictions(job.predictions)
    [there], [here] = got.result, probe_layer(job)
    assert replace(there, seconds=0.0) == replace(here, seconds=0.0)
    assert there.status == "done" and there.scores["r2"] > 0.99
    np.testing.assert_array_equal(
        predicted["0" * 16].y_pred, read_predictions(job.predictions)["0" * 16].y_pred
    )


@pytest.mark.usefixtures("node")
def test_a_damaged_shard_is_named_by_the_task_that_tripped_over_it(job: ProbeJob) -> None:
    [(folder, _)] = job.activations
    data = data_path(folder, 0)
    assert isinstance(data, Path)
    data.write_bytes(data.read_bytes()[:-1] + b"?")
    got = ended(submit(job))
    assert type(got.error) is CorruptShard and got.died is None and got.result is None
    assert (got.error.folder, got.error.index) == (folder, 0)
    assert "checksum is wrong" in got.error.reason


@pytest.mark.usefixtures("node")
def test_a_job_of_the_comparison_gives_back_its_report(job: ProbeJob, tmp_path: Path) -> None:
    names = tuple(read_layer(tmp_path / "set", 1, "layer")[0])
    sketch = SketchJob("m", "layer", job.activations, names, ("cka",), tmp_path / "sketch")
    got = ended(submit(sketch))
    assert isinstance(got.result, ComparisonReport) and got.result.values == {}
    assert (tmp_path / "sketch").stat().st_size > 0


def test_what_is_done_is_told_and_what_is_not_is_waited_for(
    node: str, job: ProbeJob, tmp_path: Path
) -> None:
    jobs = [replace(job, predictions=tmp_path / f"{n}.npz") for n in range(2)]
    done = [submit(one, nodes=[node]) for one in jobs]
    waiting = submit(job, nodes=[NOWHERE])
    found: list[Any] = []
    while len(found) < 2:
        found += ray_workers.wait([ref for ref in [waiting, *done] if ref not in found], PATIENCE)
    assert set(found) == set(done)
    assert ray_workers.wait([waiting], 0) == []
    ray_workers.cancel(waiting)
    assert ended(waiting).died == "died"


def test_a_task_waits_for_the_cpus_and_memory_that_it_reserves_and_is_not_run_once_cancelled(
    start: Callable[..., Any], shard: Shard, job: ProbeJob, tmp_path: Path
) -> None:
    actor = start(cpus=CPUS - 1, memory=MEMORY // 2)
    ended(extract(actor, ExtractSettings(model=DURATION), shard))
    kept = [submit(job, reserved=2), submit(job, memory=MEMORY)]
    assert ended(submit(replace(job, predictions=tmp_path / "other.npz"))).result
    assert ray_workers.wait(kept, 0) == []
    for ref in kept:
        ray_workers.cancel(ref)
        got = ended(ref)
        assert got.died == "died"
        assert isinstance(got.error, ray.exceptions.TaskCancelledError)
    ray_workers.end(actor)
    until_free(CPUS)
    assert not list(tmp_path.glob("predictions.npz"))


def test_a_node_describes_itself_and_one_that_is_not_there_says_why_not(node: str) -> None:
    answers = ray_workers.ask_nodes([node], [], PATIENCE)
    assert isinstance(answers[node], NodeReport)
    assert "cannot run jobs" in str(ray_workers.ask_nodes([NOWHERE], [], PATIENCE)[NOWHERE])
