"""Measuring a table: what is measured, kept, measured again, and survived."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from jobs.audio.read import load_audio
from jobs.optional_packages import OptionalPackage
from jobs.targets import measure as module
from jobs.targets.measure import measure
from jobs.targets.measured_values import MeasureError
from jobs.targets.measurements import MEASUREMENTS, Measurement, SpeakerContext
from jobs.targets.pitch import measure_level, measure_pitch


def write(folder, name, hz=200.0, seconds=0.5, peak=8_000):
    time = np.arange(round(seconds * 16_000)) / 16_000
    wave = np.rint(peak * np.sin(2 * np.pi * hz * time)).astype(np.int16)
    path = folder / f"{name}.flac"
    soundfile.write(path, wave, 16_000, subtype="PCM_16")
    return {
        "audio_path": str(path),
        "audio_digest": f"digest-{name}",
        "seconds": seconds,
        "speaker_id": f"speaker-{name}",
    }


@pytest.fixture
def table(tmp_path):
    rows = [write(tmp_path, f"u{n}", hz=100 + 40 * n, peak=1_000 * (n + 1)) for n in range(6)]
    return pd.DataFrame(rows, index=[f"row {n}" for n in range(6)])


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def decoded(monkeypatch):
    """The paths that were decoded in this process."""
    paths = []

    def load(path):
        paths.append(str(path))
        return load_audio(path)

    monkeypatch.setattr(module, "load_audio", load)
    return paths


@pytest.fixture
def in_processes(monkeypatch):
    """Every measuring, however short, goes to two processes."""
    monkeypatch.setattr(module, "POOL_SECONDS", 0.0)
    monkeypatch.setattr(module, "BLOCK_SECONDS", 1.0)
    monkeypatch.setattr(module, "cpu_count", lambda: 2)


def kept(cache, name):
    return (cache / "measured" / MEASUREMENTS[name].file).read_text().splitlines()


def test_a_row_of_values_for_every_utterance(table, cache):
    found = measure(table, ["pitch", "level"], cache)
    assert list(found.columns) == ["f0_mean", "f0_sd", "energy"]
    assert list(found.index) == list(table.index)
    for row, path in enumerate(table["audio_path"]):
        wave = load_audio(path)
        # A speaker with one utterance is searched in the range that this utterance gives.
        assert tuple(found.iloc[row]) == (*measure_pitch(wave), measure_level(wave))
    assert list(found["f0_mean"]) == pytest.approx([100, 140, 180, 220, 260, 300], rel=1e-3)


def test_a_second_call_measures_nothing_and_gives_the_same_bits(table, cache, decoded):
    first = measure(table, ["pitch"], cache)
    decoded.clear()
    told = []
    second = measure(table, ["pitch"], cache, lambda *progress: told.append(progress))
    assert decoded == told == []
    pd.testing.assert_frame_equal(first, second, check_exact=True)


def test_another_measurement_and_another_utterance_measure_only_themselves(
    table, cache, decoded, tmp_path
):
    measure(table, ["level"], cache)
    before = kept(cache, "level")
    decoded.clear()
    measure(table, ["level", "pitch"], cache)
    assert sorted(decoded) == sorted([*table["audio_path"]] * 2)  # the pitch in two passes
    assert kept(cache, "level") == before
    decoded.clear()
    more = pd.concat([table, pd.DataFrame([write(tmp_path, "new")])])
    measure(more, ["level", "pitch"], cache)
    assert decoded == [str(tmp_path / "new.flac")] * 2


def test_audio_is_known_by_its_digest_wherever_it_lies_and_measured_once(
    table, cache, decoded, tmp_path
):
    twice = pd.concat([table, table.assign(audio_path="/elsewhere.flac")], ignore_index=True)
    found = measure(twice, ["level"], cache)
    assert len(decoded) == 6
    assert list(found["energy"][:6]) == list(found["energy"][6:])


def test_a_piece_of_a_file_is_measured_as_a_piece(cache, tmp_path):
    low, high = write(tmp_path, "a", hz=100, seconds=1.0), write(tmp_path, "b", hz=300, seconds=1.0)
    both = np.concatenate([soundfile.read(one["audio_path"])[0] for one in (low, high)])
    soundfile.write(tmp_path / "both.flac", both, 16_000, subtype="PCM_16")
    pieces = [f"{tmp_path / 'both.flac'}#t={start},{start + 1}" for start in (0, 1)]
    table = pd.DataFrame(
        {
            "audio_path": pieces,
            "audio_digest": ["x@0", "x@1"],
            "seconds": 1.0,
            "speaker_id": ["a", "b"],
        }
    )
    found = measure(table, ["pitch"], cache)
    assert list(found["f0_mean"]) == pytest.approx([100, 300], rel=1e-3)


def test_progress_counts_utterances_up_to_those_to_be_measured(table, cache, monkeypatch):
    monkeypatch.setattr(module, "BLOCK_SECONDS", 1.0)
    measure(table.iloc[:1], ["level"], cache)
    told = []
    measure(table, ["level"], cache, lambda *progress: told.append(progress))
    assert told == [("measuring level", done, 5) for done in (0, 2, 4, 5)]


def test_audio_that_cannot_be_decoded_has_no_value_and_stops_nothing(table, cache):
    Path(table["audio_path"].iloc[0]).write_bytes(b"no audio at all")
    soundfile.write(table["audio_path"].iloc[1], np.zeros(8_000, np.int16), 16_000)
    found = measure(table, ["pitch", "level"], cache)
    assert found.iloc[:2].isna().all(axis=None)
    assert found.iloc[2:].notna().all(axis=None)
    again = measure(table, ["pitch", "level"], cache)
    pd.testing.assert_frame_equal(found, again, check_exact=True)


def test_damaged_audio_is_measured_once_it_is_repaired_though_its_digest_is_the_same(table, cache):
    path = Path(table["audio_path"].iloc[3])
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert list(measure(table, ["level"], cache)["energy"].isna()) == [n == 3 for n in range(6)]
    path.write_bytes(whole)
    assert measure(table, ["level"], cache)["energy"].notna().all()


def test_audio_that_is_away_has_no_value_and_is_measured_when_it_is_back(table, cache):
    path = Path(table["audio_path"].iloc[3])
    path.rename(path.with_suffix(".away"))
    assert list(measure(table, ["level"], cache)["energy"].isna()) == [n == 3 for n in range(6)]
    path.with_suffix(".away").rename(path)
    assert measure(table, ["level"], cache)["energy"].notna().all()


def test_an_interrupted_call_goes_on_where_it_was(table, cache, decoded, monkeypatch):
    monkeypatch.setattr(module, "BLOCK_SECONDS", 1.0)

    def stop(what, done, total):
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure(table, ["level"], cache, stop)
    assert len(kept(cache, "level")) == 4
    decoded.clear()
    assert measure(table, ["level"], cache)["energy"].notna().all()
    assert decoded == list(table["audio_path"][4:])


def test_a_line_that_a_crash_tore_is_measured_again(table, cache, decoded):
    whole = measure(table, ["level"], cache)
    path = cache / "measured" / MEASUREMENTS["level"].file
    path.write_bytes(path.read_bytes()[:-5])
    decoded.clear()
    found = measure(table, ["level"], cache)
    assert decoded == [table["audio_path"].iloc[-1]]
    pd.testing.assert_frame_equal(found, whole, check_exact=True)
    assert len(kept(cache, "level")) == 6


@pytest.mark.parametrize("line", ["nonsense", "{}", '["digest"]', '["digest", ["x"]]', "1"])
def test_a_damaged_line_is_told_with_its_place(table, cache, line):
    measure(table, ["level"], cache)
    path = cache / "measured" / MEASUREMENTS["level"].file
    path.write_text(f"{kept(cache, 'level')[0]}\n{line}\n")
    with pytest.raises(MeasureError, match=rf"{path.name}:2 is damaged: .*delete the file"):
        measure(table, ["level"], cache)


def test_another_version_measures_anew(table, cache, decoded, monkeypatch):
    measure(table, ["level"], cache)
    monkeypatch.setitem(MEASUREMENTS, "level", replace(MEASUREMENTS["level"], version=99))
    decoded.clear()
    measure(table, ["level"], cache)
    assert len(decoded) == 6


def test_the_version_of_the_package_that_measures_is_part_of_the_name():
    assert MEASUREMENTS["pitch"].file.startswith("pitch-3-praat-parselmouth-0")
    assert MEASUREMENTS["speech"].file.startswith("speech-1-silero-vad-")
    assert MEASUREMENTS["level"].file == "level-1.jsonl"


def test_a_missing_package_is_told_with_the_command_that_brings_it():
    assert all(one.missing() is None for one in MEASUREMENTS.values())
    package = OptionalPackage("praat-parselmouth", "no_such_module")
    absent = replace(MEASUREMENTS["pitch"], package=package)
    assert absent.missing() == (
        "the package praat-parselmouth is not installed: pip install praat-parselmouth"
    )


@pytest.fixture
def told(monkeypatch):
    """What a measurement that is told the speaker's median level, in steps of 10 dB, was called
    with: (peak of the utterance, what it was told)."""
    calls = []

    def of(wave, context):
        calls.append((float(np.abs(wave).max()), context))
        return context

    def combine(levels):
        return (float(10 * np.rint(np.nanmedian(levels) / 10)),)

    one = Measurement("told", 1, ("x",), of, 0.0, context=SpeakerContext("level", combine))
    monkeypatch.setitem(MEASUREMENTS, "told", one)
    return calls


def test_what_is_told_of_a_speaker_is_that_of_all_utterances_of_the_speaker(
    table, cache, told, tmp_path
):
    # Peaks 1000 to 6000: levels from −33 to −18 dB; the speakers have every second utterance.
    table["speaker_id"] = ["odd", "even"] * 3
    found = measure(table, ["told", "level"], cache)
    levels = found["energy"].to_numpy()
    expected = {name: round(np.median(levels[n::2]), -1) for n, name in enumerate(("odd", "even"))}
    assert list(found["x"]) == [expected[name] for name in table["speaker_id"]]
    told.clear()
    pd.testing.assert_frame_equal(measure(table, ["told", "level"], cache), found)
    assert told == []


def test_an_utterance_that_changes_what_is_told_measures_its_speaker_again_and_no_other(
    table, cache, told, tmp_path
):
    table["speaker_id"] = ["a"] * 3 + ["b"] * 3
    before = measure(table, ["told"], cache)
    told.clear()
    usual = {**write(tmp_path, "usual", peak=2_000), "speaker_id": "a"}
    more = measure(pd.concat([table, pd.DataFrame([usual])]), ["told"], cache)
    assert told == [(2_000, (-30.0,))]
    assert list(more["x"]) == [*before["x"], -30.0]
    told.clear()
    loud = [{**write(tmp_path, f"l{n}", peak=20_000), "speaker_id": "a"} for n in range(4)]
    louder = measure(pd.concat([table, pd.DataFrame(loud)]), ["told"], cache)
    assert len(told) == 3 + 4
    assert list(louder["x"]) == [-10.0] * 3 + list(before["x"][3:]) + [-10.0] * 4


def test_the_same_audio_of_two_speakers_is_measured_for_each(table, cache, told):
    twice = pd.concat([table.assign(speaker_id="a"), table.iloc[:1].assign(speaker_id="b")])
    found = measure(twice, ["told"], cache)
    assert list(found["x"]) == [-20.0] * 6 + [-30.0]


def test_an_empty_table_is_measured(table, cache):
    found = measure(table.iloc[:0], ["pitch", "level"], cache)
    assert (len(found), list(found.columns)) == (0, ["f0_mean", "f0_sd", "energy"])


def test_processes_find_what_this_one_finds(table, cache, tmp_path, in_processes, decoded):
    Path(table["audio_path"].iloc[2]).write_bytes(b"no audio at all")
    told = []
    found = measure(table, ["pitch", "level"], cache, lambda *progress: told.append(progress))
    assert decoded == []
    assert [done for _, done, _ in told] == [0, 2, 4, 6] * 2
    assert len(kept(cache, "pitch")) == 5
    module.POOL_SECONDS = math.inf
    here = measure(table, ["pitch", "level"], tmp_path / "other")
    assert len(decoded) == 12
    pd.testing.assert_frame_equal(found, here, check_exact=True)


SLOW = """
import sys
import pandas as pd
from jobs.targets import measure as module

module.POOL_SECONDS, module.BLOCK_SECONDS = 0.0, 1.0
module.cpu_count = lambda: 2


def tell(what, done, total):
    print(done, flush=True)


if __name__ == "__main__":
    table = pd.read_json(sys.argv[1], lines=True)
    module.measure(table, ["pitch_quartiles"], __import__("pathlib").Path(sys.argv[2]), tell)
"""


@pytest.fixture
def driver(tmp_path, cache):
    """A process that measures with two others, after its first block."""
    rows = [write(tmp_path, f"long{n}", hz=100 + n, seconds=1.5) for n in range(400)]
    pd.DataFrame(rows).to_json(tmp_path / "table.json", orient="records", lines=True)
    (tmp_path / "drive.py").write_text(SLOW)
    process = subprocess.Popen(
        [sys.executable, "drive.py", "table.json", str(cache)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(module.__file__).parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert [process.stdout.readline() for _ in range(2)] == ["0\n", "1\n"]
    yield process
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def alive(group):
    """Whether a process of the group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def gone(group, within):
    end = time.monotonic() + within
    while alive(group) and time.monotonic() < end:
        time.sleep(0.05)
    return not alive(group)


def test_ctrl_c_stops_all_processes_keeps_what_was_measured_and_is_told_once(driver, cache):
    os.killpg(driver.pid, signal.SIGINT)
    _, said = driver.communicate(timeout=600)
    assert gone(driver.pid, within=10)
    assert said.count("Traceback") == 1, said
    assert said.rstrip().endswith("KeyboardInterrupt")
    lines = [json.loads(line) for line in kept(cache, "pitch_quartiles")]
    assert 1 <= len(lines) < 400
    for digest, (low, _) in lines:
        assert low == pytest.approx(100 + int(digest.removeprefix("digest-long")), rel=1e-3)


def test_processes_do_not_outlive_one_that_was_killed(driver):
    driver.kill()
    driver.communicate(timeout=600)
    assert gone(driver.pid, within=10)


def test_a_process_that_dies_is_an_error_that_says_what_to_do(
    table, cache, in_processes, monkeypatch
):
    monkeypatch.setattr(module, "_measure_block", die)
    with pytest.raises(MeasureError, match=r"process that measured audio died.*run again"):
        measure(table, ["level"], cache)


def die(block):
    os.kill(os.getpid(), signal.SIGKILL)
