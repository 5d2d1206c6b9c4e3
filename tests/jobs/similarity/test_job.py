"""The comparison's jobs on shards that are on disk."""

import numpy as np
import pytest

from jobs.activations.cache_layout import data_path
from jobs.activations.manifest import CorruptShard
from jobs.activations.store import write_shard
from jobs.similarity.job import SketchJob, TileJob, compare
from jobs.similarity.measures import chance_pwcca, leading_subspace, pwcca
from tests.support.cka import unbiased_cka

NAMES = tuple(f"u{i}" for i in range(40))
BOTH = ("cka", "pwcca")
FLOAT32 = 2e-5


@pytest.fixture
def activations():
    """Three layers (U, D), with means that are not 0."""
    rng = np.random.default_rng(0)
    common = rng.standard_normal((len(NAMES), 3))
    return {
        name: (
            common @ rng.standard_normal((3, width)) + rng.standard_normal((len(NAMES), width)) + 2
        ).astype(np.float32)
        for name, width in (("stem", 6), ("middle", 10), ("end", 90))
    }


@pytest.fixture
def folder(tmp_path, activations):
    """The layers in two shards of 25 and 15 utterances."""
    for index, rows in enumerate((slice(0, 25), slice(25, 40))):
        part = {name: values[rows] for name, values in activations.items()}
        write_shard(tmp_path / "shards", index, part, NAMES[rows], [], {})
    return tmp_path / "shards"


def sketch_job(folder, layer, ids=NAMES, measures=BOTH):
    path = folder.parent / f"{layer}.safetensors"
    return SketchJob("a", layer, ((folder, 2),), tuple(ids), measures, path)


def tile(folder, rows, columns, ids=NAMES, measures=BOTH):
    """Values of the layers ``rows`` against ``columns``."""
    for layer in {*rows, *columns}:
        assert compare(sketch_job(folder, layer, ids, measures)).values == {}
    paths = [tuple(folder.parent / f"{layer}.safetensors" for layer in s) for s in (rows, columns)]
    return compare(TileJob(*paths, measures, ("a", "a"))).values


def test_a_tile_has_the_measures_of_every_pair_of_layers(folder, activations):
    rows, columns = ("stem", "middle"), ("middle", "end", "stem")
    values = tile(folder, rows, columns)
    for i, a in enumerate(rows):
        for j, b in enumerate(columns):
            X, Y = activations[a], activations[b]
            x, y = leading_subspace(X), leading_subspace(Y)
            assert values["cka"].forward[i, j] == pytest.approx(unbiased_cka(X, Y), abs=FLOAT32)
            found = values["pwcca"].forward[i, j], values["pwcca"].backward[i, j]
            assert found == pytest.approx(pwcca(x, y), abs=FLOAT32)
            assert values["pwcca"].chance[i, j] == chance_pwcca(x.rank, y.rank, 40)
    assert not values["cka"].chance.any()
    flagged = [[False, True, False], [False, True, False]]  # "end" has about 36 directions
    np.testing.assert_array_equal(values["pwcca"].flagged, flagged)


def test_the_utterances_are_those_of_the_job_in_its_order(folder, activations):
    ids = NAMES[30:10:-1]
    rows = [NAMES.index(name) for name in ids]
    values = tile(folder, ("stem",), ("middle",), ids, ("cka",))
    expected = unbiased_cka(activations["stem"][rows], activations["middle"][rows])
    assert values["cka"].forward == pytest.approx(expected, abs=FLOAT32)
    assert set(values) == {"cka"}


def test_a_constant_layer_has_undefined_similarity(folder, activations):
    constant = {"stem": activations["stem"], "off": np.zeros((40, 5), np.float32)}
    write_shard(folder, 0, {k: v[:25] for k, v in constant.items()}, NAMES[:25], [], {})
    write_shard(folder, 1, {k: v[25:] for k, v in constant.items()}, NAMES[25:], [], {})
    values = tile(folder, ("stem", "off"), ("stem", "off"))
    for measure in BOTH:
        defined = np.isfinite(values[measure].forward)
        np.testing.assert_array_equal(defined, [[True, False], [False, False]])


def test_missing_utterances_are_named(folder):
    with pytest.raises(ValueError, match=r"no activations of 1 of 41 utterances.*u99"):
        compare(sketch_job(folder, "stem", (*NAMES, "u99")))


def test_too_few_utterances_are_rejected(folder):
    with pytest.raises(ValueError, match="9 utterances could be read: expected at least 10"):
        compare(sketch_job(folder, "stem", NAMES[:9]))


def test_non_finite_activations_are_rejected(folder, activations):
    broken = activations["stem"][:25].copy()
    broken[3, 1] = np.inf
    write_shard(folder, 0, {"stem": broken}, NAMES[:25], [], {})
    job = sketch_job(folder, "stem")
    with pytest.raises(ValueError, match="stem are not finite"):
        compare(job)
    assert not job.sketch.exists()


def test_a_damaged_shard_is_reported_as_corrupt(folder):
    path = data_path(folder, 1)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1  # the last tensor's last byte
    path.write_bytes(data)
    broken = {}
    for layer in ("stem", "middle", "end"):
        try:
            compare(sketch_job(folder, layer))
        except CorruptShard as error:
            broken[layer] = error.index
    assert list(broken.values()) == [1]
