"""Test utterances at other rates: their selection, names and predictions."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from jobs.activations.cache_layout import data_path
from jobs.activations.manifest import CorruptShard
from jobs.activations.store import write_shard
from jobs.corpus.table import Utterance, audio_digest_of_table, make_table, write_table
from jobs.probes import CcaSettings, KnnSettings, LinearSettings, MlpSettings, RidgeSettings
from jobs.probing.job import ProbeJob, probe_layer
from jobs.probing.tempo import StretchedSpeech
from jobs.probing.tempo_rows import (
    EXPONENTS,
    RECORDED,
    draw_utterances,
    followed_targets,
    prediction_key,
    predicts_stretched,
    stretched_rows,
    tempo_split,
)
from jobs.probing.tempo_settings import TempoSettings
from jobs.protocol.cells import Cell
from jobs.protocol.folds import make_folds
from jobs.protocol.predictions import CellPredictions, read_predictions
from jobs.protocol.settings import KFoldProtocol, Protocols, ProtocolSettings, SplitsProtocol
from jobs.protocol.target_folds import TargetFolds
from jobs.statistics.tempo import counterfactual_scores

FACTORS = (0.8, 0.9, 1.1, 1.25)
WIDTH, SPEAKERS, EACH = 12, 20, 15
Encode = Callable[[np.ndarray, pd.DataFrame], np.ndarray]
"""(n,) rates and (n) rows of the table → (n, D) activations."""


@pytest.fixture
def table() -> pd.DataFrame:
    """300 utterances of 20 speakers; the rate has a speaker effect."""
    rng = np.random.default_rng(0)
    parts = ["train"] * 12 + ["validation"] * 3 + ["test"] * 5
    rows = make_table(
        Utterance(
            f"s{speaker:02d}-{i:02d}", f"/audio/{speaker}-{i}.flac", "x", f"s{speaker:02d}", "0",
            parts[speaker], seconds=2.0 + i, n_samples=32_000 + 16_000 * i, audio_digest=f"d{i}",
        )
        for speaker in range(SPEAKERS) for i in range(EACH)
    )  # fmt: skip
    level = rng.standard_normal(SPEAKERS)[[int(name[1:]) for name in rows["speaker_id"]]]
    rows["cps"] = 12 + level + 1.5 * rng.standard_normal(len(rows))
    rows["duration"] = rows["seconds"]
    return rows


def speaker_of(table: pd.DataFrame) -> np.ndarray:
    return np.array([float(name[1:]) for name in table["speaker_id"]])


DIRECTIONS = np.random.default_rng(5).standard_normal((2, WIDTH))


def exactly(rate: np.ndarray, rows: pd.DataFrame) -> np.ndarray:
    """The rate and the speaker, each along a direction of its own."""
    return np.outer(rate, DIRECTIONS[0]) + np.outer(speaker_of(rows), DIRECTIONS[1])


def speaker_alone(rate: np.ndarray, rows: pd.DataFrame) -> np.ndarray:
    return np.outer(speaker_of(rows), DIRECTIONS[1])


@pytest.fixture
def probe(tmp_path: Path, table: pd.DataFrame) -> Callable[..., dict[str, CellPredictions]]:
    """Probes a layer and returns what was predicted at other rates."""

    def run(
        encode: Encode,
        settings: Any = None,
        protocol: ProtocolSettings | None = None,
        drawn: pd.DataFrame = table,
        cells: tuple[Cell, ...] | None = None,
        targets: tuple[str, ...] = ("cps",),
    ) -> dict[str, CellPredictions]:
        write_table(tmp_path / "table.csv", table)
        protocol = protocol or SplitsProtocol()
        sets = [("recorded", 1.0, table), *((f"f{f}", f, drawn) for f in FACTORS)]
        for folder, factor, rows in sets:
            X = encode(factor * rows["cps"].to_numpy(), rows).astype(np.float32)
            write_shard(tmp_path / folder, 0, {"layer": X}, list(rows["utterance_id"]), [], {})
        folds = range(len(make_folds(protocol, table)))
        settings = settings or RidgeSettings(alphas=(1e-6,))
        job = ProbeJob(
            model="m",
            layer="layer",
            activations=((tmp_path / "recorded", 1),),
            table=tmp_path / "table.csv",
            probes={"probe": settings},
            protocols=Protocols(protocol),
            cells=cells or tuple(Cell(f"c{k}", "probe", "cps", 0, k, "none") for k in folds),
            predictions=tmp_path / "predictions.npz",
            parts=(
                StretchedSpeech(
                    tuple((f, tmp_path / f"f{f}", 1) for f in FACTORS),
                    targets,
                    tmp_path / "new.npz",
                ),
            ),
        )
        assert {result.status for result in probe_layer(job)} == {"done"}
        return read_predictions(tmp_path / "new.npz")

    return run


def slope(found: dict[str, CellPredictions], table: pd.DataFrame) -> float:
    recorded = found[prediction_key("c0", RECORDED)]
    new = [found[prediction_key("c0", factor)] for factor in FACTORS]
    for one in new:
        np.testing.assert_array_equal(one.utterance_id, recorded.utterance_id)
    speakers = table.set_index("utterance_id")["speaker_id"][list(recorded.utterance_id)]
    return counterfactual_scores(
        recorded.y_true.astype(float),
        recorded.y_pred.astype(float),
        np.stack([one.y_true for one in new], axis=1).astype(float),
        np.stack([one.y_pred for one in new], axis=1).astype(float),
        speakers.to_numpy(dtype=str),
    ).slope.value


@pytest.mark.parametrize(
    "settings",
    [
        RidgeSettings(alphas=(1e-6,)),
        CcaSettings(variance=1.0),
        LinearSettings(epochs=200),
        MlpSettings(hidden=(32,), epochs=300, patience=300),
    ],
    ids=lambda settings: settings.kind,
)
def test_the_slope_is_1_for_a_layer_that_encodes_the_rate_exactly(
    probe: Callable[..., Any], table: pd.DataFrame, settings: Any
) -> None:
    approximate = settings.kind in ("mlp", "linear")
    assert slope(probe(exactly, settings), table) == pytest.approx(
        1, abs=0.15 if approximate else 1e-3
    )


def test_the_slope_is_0_for_a_layer_that_encodes_only_the_speaker(
    probe: Callable[..., Any], table: pd.DataFrame
) -> None:
    assert slope(probe(speaker_alone), table) == pytest.approx(0, abs=1e-4)


def test_the_slope_is_the_shrinkage_of_the_probe_for_a_noisy_rate(
    probe: Callable[..., Any], table: pd.DataFrame
) -> None:
    """y + e, var e = var y: the regression of y on it has the coefficient 1/2, and so R²."""
    spread = table["cps"].std()
    noise = dict(
        zip(
            table["utterance_id"],
            spread * np.random.default_rng(3).standard_normal(len(table)),
            strict=True,
        )
    )

    def noisy(rate: np.ndarray, rows: pd.DataFrame) -> np.ndarray:
        return np.outer(rate + rows["utterance_id"].map(noise).to_numpy(), DIRECTIONS[0])

    assert slope(probe(noisy), table) == pytest.approx(0.5, abs=0.1)


def test_known_values_scale_with_the_factor_for_rates_and_inversely_for_duration(
    probe: Callable[..., Any], table: pd.DataFrame
) -> None:
    cells = tuple(Cell(t, "probe", t, 0, 0, "none") for t in ("cps", "duration"))
    found = probe(exactly, cells=cells, targets=("cps", "duration"))
    by_name = table.set_index("utterance_id")
    for factor in FACTORS:
        for target, scale in (("cps", factor), ("duration", 1 / factor)):
            one = found[prediction_key(target, factor)]
            expected = by_name[target][list(one.utterance_id)] * scale
            np.testing.assert_allclose(one.y_true, expected, rtol=1e-6)


def test_with_folds_every_utterance_is_predicted_by_the_probe_of_its_test_fold(
    probe: Callable[..., Any], table: pd.DataFrame
) -> None:
    protocol = KFoldProtocol(folds=4)
    found = probe(exactly, protocol=protocol)
    names = table["utterance_id"].to_numpy()
    for number, fold in enumerate(make_folds(protocol, table)):
        for factor in FACTORS:
            assert set(found[prediction_key(f"c{number}", factor)].utterance_id) == set(
                names[fold.test]
            )


def test_controls_other_targets_and_inapplicable_probes_predict_no_stretched_speech() -> None:
    ridge, knn = RidgeSettings(), KnnSettings()
    assert predicts_stretched(("cps",), "cps", "none", ridge)
    assert not predicts_stretched(("cps",), "cps", "shuffled", ridge)
    assert not predicts_stretched(("cps",), "energy", "none", ridge)
    assert not predicts_stretched(("cps",), "cps", "none", knn)


def test_only_real_cells_of_the_chosen_targets_predict(probe: Callable[..., Any]) -> None:
    cells = (
        Cell("real", "probe", "cps", 0, 0, "none"),
        Cell("control", "probe", "cps", 0, 0, "shuffled"),
        Cell("other", "probe", "duration", 0, 0, "none"),
    )
    found = probe(exactly, cells=cells)
    assert set(found) == {prediction_key("real", rate) for rate in (RECORDED, *FACTORS)}


def test_unreadable_or_non_finite_utterances_are_left_out(
    probe: Callable[..., Any], table: pd.DataFrame
) -> None:
    drawn = table[table["split"] == "test"].iloc[10:40]

    def holed(rate: np.ndarray, rows: pd.DataFrame) -> np.ndarray:
        X = exactly(rate, rows)
        if len(rows) < len(table):
            X[3, 2] = np.nan
        return X

    found = probe(holed, drawn=drawn)
    names = set(drawn["utterance_id"]) - {drawn["utterance_id"].iloc[3]}
    for factor in FACTORS:
        assert set(found[prediction_key("c0", factor)].utterance_id) == names
    assert set(found[prediction_key("c0", RECORDED)].utterance_id) == names


def test_a_damaged_shard_of_stretched_speech_raises(
    probe: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe(exactly)
    path = data_path(tmp_path / "f0.9", 0)
    whole = path.read_bytes()
    monkeypatch.setattr(
        "tests.jobs.probing.test_tempo.write_shard", lambda *a, **k: path.write_bytes(whole[:-4])
    )
    with pytest.raises(CorruptShard, match=r"f0\.9"):
        probe(exactly)


def draw(
    settings: TempoSettings,
    targets: tuple[str, ...],
    protocol: ProtocolSettings,
    table: pd.DataFrame,
) -> tuple[str, ...]:
    return draw_utterances(settings, targets, TargetFolds(Protocols(protocol), table), table)


def test_test_utterances_are_drawn_equally_from_all_speakers_in_any_row_order(
    table: pd.DataFrame,
) -> None:
    settings = TempoSettings(utterances=12)
    drawn = draw(settings, ("cps",), SplitsProtocol(), table)
    shuffled = table.sample(frac=1, random_state=0).reset_index(drop=True)
    assert draw(settings, ("cps",), SplitsProtocol(), shuffled) == drawn
    rows = table.set_index("utterance_id").loc[list(drawn)]
    assert set(rows["split"]) == {"test"}
    assert sorted(rows.groupby("speaker_id").size()) == [2, 2, 2, 3, 3]
    other = draw(TempoSettings(utterances=12, seed=1), ("cps",), SplitsProtocol(), table)
    assert other != drawn
    everyone = draw(TempoSettings(utterances=1000), ("cps",), KFoldProtocol(folds=3), table)
    assert everyone == tuple(sorted(table["utterance_id"]))


def test_targets_with_protocols_of_their_own_are_heard_where_all_of_them_are_tested(
    table: pd.DataFrame,
) -> None:
    folds = TargetFolds(Protocols(SplitsProtocol(), {"duration": KFoldProtocol(folds=3)}), table)
    everyone = TempoSettings(utterances=1000)
    drawn = draw_utterances(everyone, ("cps", "duration"), folds, table)
    assert drawn == draw(everyone, ("cps", "duration"), SplitsProtocol(), table)


def test_utterances_without_a_value_are_not_drawn(table: pd.DataFrame) -> None:
    table.loc[table["speaker_id"] == "s19", "cps"] = np.nan
    drawn = draw(TempoSettings(), ("cps",), SplitsProtocol(), table)
    assert len(drawn) == 4 * EACH
    both = draw(TempoSettings(), ("cps", "duration"), SplitsProtocol(), table)
    assert len(both) == 5 * EACH


def test_stretched_rows_have_their_own_audio_and_the_original_labels(table: pd.DataFrame) -> None:
    chosen = list(table["utterance_id"][3:6])
    rows = stretched_rows(chosen, FACTORS, table)
    assert len(rows) == 3 * len(FACTORS)
    digests = {audio_digest_of_table(part) for _, part in rows.groupby("split")}
    assert len(digests) == len(FACTORS)
    slow = rows[rows["split"] == tempo_split(0.8)]
    recorded = table[3:6]
    assert list(slow["audio_path"]) == [f"{path}#tempo=0.8" for path in recorded["audio_path"]]
    np.testing.assert_allclose(slow["seconds"], recorded["seconds"] / 0.8)
    np.testing.assert_array_equal(slow["cps"], recorded["cps"])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"factors": [0.8, 1.0, 1.2]}, "1 is the recording"),
        ({"factors": [0.8, 0.8]}, "expected different ones"),
        ({"factors": [0.8]}, "at least 2 items"),
        ({"factors": [0.4, 1.1]}, "greater than or equal to 0.5"),
        ({"factors": [0.8, float("nan")]}, "a finite number"),
        ({"utterances": 1}, "greater than or equal to 2"),
        ({"factor": [0.8]}, "Extra inputs"),
    ],
)
def test_invalid_settings_are_rejected(values: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TempoSettings.model_validate(values)


def test_followed_targets_are_those_that_are_probed_and_known() -> None:
    assert followed_targets(TempoSettings(), ["energy", "duration", "cps"]) == ("duration", "cps")
    assert followed_targets(TempoSettings(targets=("cps",)), ["duration", "cps"]) == ("cps",)
    assert set(EXPONENTS.values()) == {1, -1}
