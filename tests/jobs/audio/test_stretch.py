"""Speech at another rate, and scores of predictions whose answer is known."""

import sys

import numpy as np
import pytest
from scipy import stats
from scipy.signal import resample_poly
from scipy.stats import pearsonr

from jobs.audio.frames import SAMPLE_RATE
from jobs.audio.stretch import FASTEST, SLOWEST, stretch
from jobs.corpus.espeak.library import open_espeak
from jobs.optional_packages import MissingPackageError
from jobs.statistics.tempo import counterfactual_scores, mean_changes
from tests.support.by_hand import degrees, jackknife, t_interval

FACTORS = np.array([0.8, 0.9, 1.1, 1.25])


@pytest.fixture(scope="module")
def library():
    return pytest.importorskip("python_stretch")


@pytest.fixture(scope="module")
def speech():
    """A synthetic sentence by a low and by a high voice, (N,) at 16 kHz."""
    text = "the birch canoe slid on the smooth planks and a large size in stockings is hard to sell"
    with open_espeak(seed=0) as espeak:
        spoken = [espeak.say(text, "en-us", pitch, 170) for pitch in (30, 75)]
        rate = espeak.sample_rate
    return [
        resample_poly(one.astype(float), SAMPLE_RATE, rate).astype(np.float32) for one in spoken
    ]


def voiced(wave):
    """(T,) Hz of the voiced frames, by Praat."""
    parselmouth = pytest.importorskip("parselmouth")
    pitch = parselmouth.Sound(wave.astype(float), SAMPLE_RATE).to_pitch_ac(
        pitch_floor=60, pitch_ceiling=400
    )
    hz = pitch.selected_array["frequency"]
    return hz[hz > 0]


def envelope(wave, step):
    """Level in frames of 50 ms that begin every ``step`` samples, in dB above its 20 dB floor."""
    starts = np.arange(0, len(wave) - 800, step).astype(int)
    power = np.array([np.mean(wave[start : start + 800] ** 2) for start in starts])
    return 10 * np.log10(power + power.max() / 100)


@pytest.mark.parametrize("factor", [SLOWEST, *FACTORS, FASTEST])
@pytest.mark.usefixtures("library")
def test_the_duration_is_divided_by_the_factor_and_the_pitch_stays(speech, factor):
    for wave in speech:
        changed = stretch(wave, factor)
        assert changed.dtype == np.float32
        assert abs(len(changed) - len(wave) / factor) <= 1
        before, after = voiced(wave), voiced(changed)
        assert np.median(after) == pytest.approx(np.median(before), rel=0.02)
        assert after.std() == pytest.approx(before.std(), rel=0.15)
        assert np.std(changed) == pytest.approx(np.std(wave), rel=0.15)  # 1.3 dB


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.usefixtures("library")
def test_everything_is_where_the_new_rate_puts_it(speech, factor):
    for wave in speech:
        before, after = envelope(wave, 800), envelope(stretch(wave, factor), 800 / factor)
        n = min(len(before), len(after))
        at_place = np.corrcoef(before[:n], after[:n])[0, 1]
        assert at_place > 0.95
        assert at_place > np.corrcoef(before[1:n], after[: n - 1])[0, 1]
        assert at_place > np.corrcoef(before[: n - 1], after[1:n])[0, 1]


@pytest.mark.usefixtures("library")
def test_a_factor_of_1_is_nearly_the_same_speech(speech):
    wave = speech[0]
    assert np.abs(stretch(wave, 1) - wave).max() < 0.02 * np.abs(wave).max()


@pytest.mark.usefixtures("library")
def test_the_same_speech_gives_the_same_samples(speech):
    first = stretch(speech[0], 0.8)
    stretch(speech[1], 1.1)
    np.testing.assert_array_equal(stretch(speech[0], 0.8), first)


@pytest.mark.parametrize("n", [1, 3, 400])
@pytest.mark.usefixtures("library")
def test_short_and_silent_audio_comes_back_short_and_silent(n):
    for factor in FACTORS:
        changed = stretch(np.zeros(n, dtype=np.float32), factor)
        assert abs(len(changed) - n / factor) <= 1
        assert not changed.any()


@pytest.mark.parametrize("factor", [0, 0.49, 2.01, -1, np.nan, np.inf])
def test_a_factor_out_of_range_is_refused(factor):
    with pytest.raises(ValueError, match=r"expected 0\.5 to 2\.0 times the rate"):
        stretch(np.zeros(16_000, dtype=np.float32), factor)


def test_without_the_library_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "python_stretch", None)
    with pytest.raises(MissingPackageError, match="pip install python-stretch"):
        stretch(np.zeros(16_000, dtype=np.float32), 0.9)


@pytest.fixture
def rates():
    """Rates of 20 speakers' originals (U,), of the changed (U, F), and the speakers (U,)."""
    rng = np.random.default_rng(0)
    speakers = np.repeat([f"s{i}" for i in range(20)], rng.integers(2, 12, 20))
    _, of_row = np.unique(speakers, return_inverse=True)
    y = 12 + rng.normal(0, 1.5, 20)[of_row] + rng.normal(0, 1.5, len(speakers))
    return y, y[:, None] * FACTORS, speakers, of_row


def scores(rates, pred, pred_new):
    y, y_new, speakers, _ = rates
    return counterfactual_scores(y, pred, y_new, pred_new, speakers)


@pytest.mark.parametrize("gain", [1, 0.4, -0.5])
def test_a_layer_that_encodes_the_rate_has_its_gain_as_slope(rates, gain):
    y, y_new, _, of_row = rates
    speaker = 5 * of_row
    found = scores(rates, speaker + gain * y, speaker[:, None] + gain * y_new)
    for value in vars(found.slope).values():
        assert value == pytest.approx(gain, abs=1e-12)
    for value in vars(found.correlation).values():
        assert value == pytest.approx(np.sign(gain), abs=1e-9)
    assert (found.n_utterances, found.n_speakers) == (len(y), 20)


def test_what_stretching_adds_at_all_rates_is_the_shift_and_does_not_move_the_slope(rates):
    y, y_new, _, _ = rates
    found = scores(rates, 0.4 * y, 0.4 * y_new - 30)
    assert found.slope.value == pytest.approx(0.4, abs=1e-12)
    assert found.correlation.value == pytest.approx(1, abs=1e-12)
    assert found.shift.value == pytest.approx(-30, abs=1e-10)
    assert found.shift.low == pytest.approx(-30, abs=1e-10)


def test_a_layer_that_knows_only_the_speaker_has_slope_0_and_no_correlation(rates):
    _, y_new, _, of_row = rates
    mean = 12.0 + of_row
    found = scores(rates, mean, np.repeat(mean[:, None], y_new.shape[1], axis=1))
    assert vars(found.slope) == {"value": 0, "low": 0, "high": 0}
    assert all(np.isnan(value) for value in vars(found.correlation).values())


def test_predictions_that_do_not_follow_have_intervals_around_0(rates):
    rng = np.random.default_rng(1)
    y, y_new, _, _ = rates
    found = scores(rates, y + rng.normal(0, 1, y.shape), y[:, None] + rng.normal(0, 1, y_new.shape))
    for score in (found.slope, found.correlation):
        assert score.low < 0 < score.high


def test_slope_and_correlation_are_those_of_a_regression_with_an_intercept_an_utterance(rates):
    rng = np.random.default_rng(2)
    y, y_new, _, _ = rates
    pred, pred_new = 0.5 * y, 0.3 * y_new + rng.normal(0, 1, y_new.shape)
    found = scores(rates, pred, pred_new)
    dummies = np.kron(np.eye(len(y)), np.ones((len(FACTORS), 1)))
    design = np.column_stack([y_new.ravel(), dummies])
    assert found.slope.value == pytest.approx(
        np.linalg.lstsq(design, pred_new.ravel())[0][0], abs=1e-10
    )
    left = [v.ravel() - dummies @ np.linalg.lstsq(dummies, v.ravel())[0] for v in (y_new, pred_new)]
    assert found.correlation.value == pytest.approx(pearsonr(*left).statistic, abs=1e-10)
    changes = (pred_new - pred[:, None]).mean(), (y_new - y[:, None]).mean()
    assert found.shift.value == pytest.approx(changes[0] - found.slope.value * changes[1])
    for score in (found.slope, found.correlation, found.shift):
        assert score.low < score.value < score.high


@pytest.mark.parametrize("n_speakers", [5, 40])
def test_intervals_cover_the_gain_as_often_as_they_say(n_speakers):
    rng = np.random.default_rng(3)
    covered, n = 0, 200
    speakers = np.repeat(np.arange(n_speakers).astype(str), 5)
    for _ in range(n):
        y = rng.normal(12, 2, len(speakers))
        gain = rng.normal(0.5, 0.2, n_speakers).repeat(
            5
        )  # speakers differ: utterances are not independent
        new = y[:, None] * FACTORS
        response = gain[:, None] * (new - y[:, None]) + rng.normal(0, 0.5, new.shape)
        slope = counterfactual_scores(y, y, new, y[:, None] + response, speakers).slope
        covered += slope.low <= 0.5 <= slope.high
    assert 0.90 <= covered / n <= 0.99  # 95 % ± 3 SD of 200 draws


def test_intervals_are_students_about_the_jackknife_over_speakers(rates):
    rng = np.random.default_rng(5)
    y, y_new, speakers, _ = rates
    pred, pred_new = 0.5 * y, 0.3 * y_new + rng.normal(0, 1, y_new.shape)
    names = np.unique(speakers)

    def without(name, of):
        kept = speakers != name
        return of(y[kept], pred[kept], y_new[kept], pred_new[kept], speakers[kept])

    found, sizes = scores(rates, pred, pred_new), [np.sum(speakers == name) for name in names]
    one = found.correlation
    left_out = [without(name, counterfactual_scores).correlation.value for name in names]
    assert [one.low, one.high] == pytest.approx(
        list(t_interval(one.value, left_out, sizes, "correlation")), rel=1e-9
    )
    means = [np.mean((y_new - y[:, None])[speakers != name], axis=0) for name in names]
    for rate, change in enumerate(mean_changes(y, y_new, speakers)):
        of_rate = [float(mean[rate]) for mean in means]
        reach = stats.t(degrees(of_rate, sizes)).ppf(0.975) * jackknife(of_rate)
        ends = [change.value - reach, change.value + reach]
        assert [change.low, change.high] == pytest.approx(ends, rel=1e-9)


def test_missing_predictions_are_left_out(rates):
    y, y_new, speakers, of_row = rates
    y_pred_new = 0.5 * y_new
    y_pred_new[::3, 1] = np.nan
    y_pred_new[of_row == 4] = np.nan
    y_pred_new[0, 1:] = np.nan  # one rate alone has nothing to be compared with
    found = counterfactual_scores(y, 0.5 * y, y_new, y_pred_new, speakers)
    assert found.slope.value == pytest.approx(0.5, abs=1e-12)
    assert found.n_speakers == 19
    assert found.n_utterances == (of_row != 4).sum() - 1


def test_one_speaker_or_none_has_no_interval(rates):
    y, y_new, speakers, _ = rates
    one = counterfactual_scores(y, y, y_new, y_new, np.full_like(speakers, "a"))
    assert one.slope.value == pytest.approx(1)
    assert np.isnan(one.slope.low)
    nobody = counterfactual_scores(y, y, y_new, np.full_like(y_new, np.nan), speakers)
    assert np.isnan(nobody.slope.value)
    assert nobody.n_utterances == 0


def test_arrays_that_do_not_fit_are_refused_with_their_shapes(rates):
    y, y_new, speakers, _ = rates
    with pytest.raises(ValueError, match=r"expected originals .* found .*\(3,\)"):
        counterfactual_scores(y, y[:3], y_new, y_new, speakers)
    with pytest.raises(ValueError, match=r"changed ones of shape \(U, F\)"):
        counterfactual_scores(y, y, y_new, y_new[:, :2], speakers)


def test_mean_changes_are_those_of_the_known_ones(rates):
    y, y_new, speakers, of_row = rates
    y_new = y_new.copy()
    y_new[::3, 1] = np.nan
    y_new[of_row == 4] = np.nan
    found = mean_changes(y, y_new, speakers)
    for estimate, expected in zip(found, np.nanmean(y_new - y[:, None], axis=0), strict=True):
        assert estimate.value == pytest.approx(expected, abs=1e-12)
        assert estimate.low < expected < estimate.high
    (alone,) = mean_changes(y, y[:, None] + 1, np.full_like(speakers, "a"))
    assert alone.value == pytest.approx(1)
    assert np.isnan(alone.low)
    (nobody,) = mean_changes(y, np.full((len(y), 1), np.nan), speakers)
    assert np.isnan([nobody.value, nobody.low, nobody.high]).all()
