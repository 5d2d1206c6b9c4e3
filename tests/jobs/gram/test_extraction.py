"""Extraction of a shard of statistics: the sums of what a shard of activations holds."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch

from jobs.activations.store import read_layer, read_manifest, read_names, read_sums
from jobs.extraction.extractor import Extractor
from jobs.extraction.settings import ExtractSettings
from jobs.extraction.shard import Shard
from jobs.gram.moments import moments_of_sums
from jobs.gram.settings import GramSettings
from jobs.gram.sums import Labels
from jobs.models import load_model
from jobs.models.describe import weights_digest
from jobs.models.wespeaker.settings import WespeakerSettings
from jobs.protocol.settings import SplitsProtocol

MODEL = WespeakerSettings(
    name="x", architecture="SimAM_ResNet34_ASP", model_args={"in_planes": 2, "embed_dim": 8}
)
LAYERS = ("stem", "embedding")
N = 11


@pytest.fixture(scope="module")
def digest():
    return weights_digest(load_model(MODEL))


@pytest.fixture
def shards(tmp_path, digest):
    """The same utterances, one without samples, as activations and as statistics."""
    rng = np.random.default_rng(0)
    paths = []
    for row in range(N):
        path = tmp_path / f"u{row}.flac"
        n_samples = 0 if row == 4 else 6000 + 400 * (row % 3)
        soundfile.write(path, (rng.standard_normal(n_samples) * 3000).astype(np.int16), 16_000)
        paths.append(str(path))
    names = tuple(f"u{row}" for row in range(N))
    labels = rng.standard_normal((N, 2))
    labels[7, 1] = np.nan
    settings = GramSettings(
        targets=("a", "b"),
        row_sets=(0, 1),
        controls=("none",),
        layers=LAYERS,
        protocol=SplitsProtocol(),
    )
    stored = Shard(tmp_path / "stored", 0, names, tuple(paths), digest)
    return stored, replace(stored, folder=tmp_path / "sums", labels=Labels(settings, labels))


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("lot", [1, 3, 64])
def test_sums_are_those_of_the_stored_rows(shards, monkeypatch, lot, dtype):
    monkeypatch.setattr("jobs.extraction.extractor.LOT", lot)
    stored, summed = shards
    extractor = Extractor(ExtractSettings(model=MODEL, dtype=dtype))
    one, other = extractor.extract(stored), extractor.extract(summed)
    assert [s.utterance_id for s in other.skipped] == ["u4"]
    for name in ("n_utterances", "skipped", "frames_useful", "frames_computed"):
        assert getattr(one, name) == getattr(other, name)
    names = read_names(summed.folder, 1)
    assert names == read_names(stored.folder, 1)
    assert list(read_manifest(summed.folder, 0).layers) == list(LAYERS)
    for layer in LAYERS:
        X = read_layer(stored.folder, 1, layer)[1].astype(np.float64)
        y = summed.labels.values[[int(name[1:]) for name in names]]
        [sums] = read_sums(summed.folder, 1, layer)
        for row_set in (0, 1):
            used = np.isfinite(y[:, row_set])
            found = moments_of_sums([sums[row_set]], 2)
            x_own = X[used] - X[used].mean(axis=0)
            y_own = y[used, row_set] - y[used, row_set].mean()
            assert found.n == used.sum() == (10, 9)[row_set]
            # float16 is rounded to 5e-4 of a value, and a batch of another size sums in another
            # order: rounded to the neighbour, now and then.
            rtol = 1e-3 if dtype == "float16" else 1e-5
            for mine, theirs in ((found.xx, x_own.T @ x_own), (found.xy[row_set], y_own @ x_own)):
                np.testing.assert_allclose(mine, theirs, rtol=0, atol=rtol * np.abs(theirs).max())


def test_a_finished_shard_of_statistics_is_kept(shards):
    _, summed = shards
    extractor = Extractor(ExtractSettings(model=MODEL))
    first, again = extractor.extract(summed), extractor.extract(summed)
    assert first.bytes_written > again.bytes_written == 0
    assert again.skipped == first.skipped


def test_a_shard_that_cannot_be_read_at_all_is_empty(shards, tmp_path):
    _, summed = shards
    labels = Labels(summed.labels.settings, summed.labels.values[4:5])
    alone = replace(
        summed, utterance_ids=("u4",), audio_paths=(summed.audio_paths[4],), labels=labels
    )
    report = Extractor(ExtractSettings(model=MODEL)).extract(alone)
    assert (report.n_utterances, len(report.skipped)) == (0, 1)
    assert list(read_sums(alone.folder, 1, "stem")) == []


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU here")
def test_a_gpu_leaves_the_same_statistics(shards, tmp_path):
    _, summed = shards
    other = replace(summed, folder=tmp_path / "of a GPU")
    Extractor(ExtractSettings(model=MODEL)).extract(summed)
    Extractor(ExtractSettings(model=MODEL), device="cuda").extract(other)
    for layer in LAYERS:
        [one], [two] = (list(read_sums(s.folder, 1, layer)) for s in (summed, other))
        found, expected = (moments_of_sums([sums[0]], 2).xx for sums in (one, two))
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3 * np.abs(expected).max())
