"""The synthetic corpus: the same bytes for a seed, disjoint voices, a realistic spread of rates."""

import ctypes
import hashlib
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import espeakng_loader
import numpy as np
import pydantic
import pytest

import jobs
from jobs.corpus import AnyCorpusSettings, prepare
from jobs.corpus.espeak.corpus import (
    ACCENTS,
    FEMALE,
    VARIANTS,
    make_espeak_corpus,
    make_voices,
    outline,
)
from jobs.corpus.espeak.library import open_espeak
from jobs.corpus.espeak.settings import EspeakSettings
from jobs.targets.registry import add_targets

SMALL = {"speakers": {"train": 3, "test": 2}, "utterances_per_speaker": 3}


def files_of(root):
    """Relative path → SHA-256 of every file under ``root``."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A corpus of the demo's size: 24 voices, 408 utterances."""
    settings = EspeakSettings(
        speakers={"train": 14, "validation": 5, "test": 5}, utterances_per_speaker=17
    )
    return prepare(settings, tmp_path_factory.mktemp("cache"))


def test_every_utterance_exists_and_lasts_two_to_five_seconds(demo):
    assert demo.skipped == ()
    assert len(demo.utterances) == 24 * 17
    assert demo.utterances["seconds"].between(2.0, 5.0).all()
    assert demo.utterances["audio_digest"].is_unique


def test_transcripts_and_ids_look_like_librispeechs(demo):
    assert demo.utterances["text"].str.fullmatch(r"[A-Z]+( [A-Z]+)+").all()
    assert demo.utterances["utterance_id"].str.fullmatch(r"\d+-\d+-\d{4}").all()


def test_rates_spread_as_they_do_in_librispeech(demo):
    table = add_targets(demo.utterances, ["cps"])
    cps, speakers = table["cps"], table.groupby("speaker_id")["cps"]
    assert 11 < cps.mean() < 15
    assert cps.std() >= 2
    # One-way random-effects ICC with 17 utterances a speaker; LibriSpeech test-clean: 0.38.
    between = 17 * speakers.mean().var()
    within = speakers.var().mean()
    assert 0.25 < (between - within) / (between + 16 * within) < 0.65


def test_duration_does_not_reveal_the_rate(demo):
    table = add_targets(demo.utterances, ["cps"])
    assert abs(table["cps"].corr(table["seconds"])) < 0.15


def test_no_speaker_is_in_two_splits(demo):
    assert (demo.utterances.groupby("speaker_id")["split"].nunique() == 1).all()
    speakers = demo.utterances.groupby("split")["speaker_id"].nunique()
    assert dict(speakers) == {"train": 14, "validation": 5, "test": 5}


def test_the_same_settings_give_the_same_bytes_in_one_process_and_in_another(tmp_path):
    settings = EspeakSettings(**SMALL)
    first = make_espeak_corpus(settings, tmp_path / "first")
    second = make_espeak_corpus(settings, tmp_path / "second")
    assert first.root.name == second.root.name
    script = (
        "import sys; from pathlib import Path; from jobs.corpus.espeak.corpus import *; "
        f"make_espeak_corpus(EspeakSettings(**{SMALL!r}), Path(sys.argv[1]))"
    )
    source = str(Path(jobs.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": source, "PYTHONHASHSEED": "7"}
    third = tmp_path / "third"
    subprocess.run([sys.executable, "-c", script, str(third)], check=True, env=environment)
    expected = files_of(first.root)
    assert len(expected) == 5 * 3 + 5 + 3
    assert files_of(second.root) == expected
    assert files_of(third / "corpora" / first.root.name) == expected


def test_another_seed_gives_another_corpus(tmp_path):
    first = make_espeak_corpus(EspeakSettings(**SMALL), tmp_path)
    second = make_espeak_corpus(EspeakSettings(**SMALL, seed=1), tmp_path)
    assert first.root != second.root
    assert files_of(first.root) != files_of(second.root)


def test_an_interrupted_corpus_is_completed_to_the_same_bytes(tmp_path):
    settings = EspeakSettings(**SMALL)
    root = make_espeak_corpus(settings, tmp_path).root
    expected = files_of(root)
    (root / "COMPLETE").unlink()
    flacs = sorted(root.rglob("*.flac"))
    flacs[0].unlink()
    flacs[1].write_bytes(b"half a fi")
    make_espeak_corpus(settings, tmp_path)
    assert files_of(root) == expected


def test_a_complete_corpus_is_not_made_again(tmp_path):
    settings = EspeakSettings(**SMALL)
    root = make_espeak_corpus(settings, tmp_path).root
    times = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    make_espeak_corpus(settings, tmp_path)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == times


def test_the_readme_says_that_the_corpus_is_synthetic(tmp_path):
    root = make_espeak_corpus(EspeakSettings(**SMALL), tmp_path).root
    assert "Synthetic speech. Nobody spoke" in (root / "README.txt").read_text()
    assert (root / "SPEAKERS.TXT").read_text().startswith("; Synthetic speakers")


def test_the_sex_of_every_voice_is_listed_in_the_format_of_librispeech(tmp_path):
    settings = EspeakSettings(**SMALL)
    table = prepare(settings, tmp_path).utterances
    voices = make_voices(settings)
    assert dict(zip(table["speaker_id"], table["sex"], strict=True)) == {
        voice.speaker_id: voice.sex for voice in voices
    }
    root = make_espeak_corpus(settings, tmp_path).root
    lines = [line for line in (root / "SPEAKERS.TXT").read_text().splitlines() if line[0] != ";"]
    for line, voice in zip(lines, voices, strict=True):
        speaker, sex, part, minutes, name = (field.strip() for field in line.split("|"))
        assert (speaker, sex, part) == (voice.speaker_id, voice.sex, voice.split)
        spoken = table.loc[table["speaker_id"] == speaker, "seconds"].sum() / 60
        assert float(minutes) == pytest.approx(spoken, abs=0.005)
        assert voice.name in name


def test_female_variants_agree_with_the_genders_in_the_library():
    folder = Path(espeakng_loader.get_data_path()) / "voices" / "!v"
    for variant in (*VARIANTS["probe"], *VARIANTS["pretrain"]):
        found = re.search(r"^gender\s+(\w+)", (folder / variant).read_text(), re.MULTILINE)
        if found:
            assert (variant in FEMALE) == (found[1].lower() == "female"), variant
    assert len(FEMALE & {*VARIANTS["probe"]}) > 5 < len(FEMALE & {*VARIANTS["pretrain"]})


def test_the_outline_has_speakers_splits_and_sex_before_any_audio(tmp_path):
    settings = EspeakSettings(**SMALL)
    columns = ["speaker_id", "split", "sex"]
    spoken = prepare(settings, tmp_path).utterances[columns].drop_duplicates()
    outlined = outline(settings)[columns]
    assert sorted(map(tuple, outlined.to_numpy())) == sorted(map(tuple, spoken.to_numpy()))


def test_the_halves_share_no_variant_and_no_speaker_id():
    assert not set(VARIANTS["probe"]) & set(VARIANTS["pretrain"])
    parts = {"train": 40}
    probe, pretrain = (
        make_voices(EspeakSettings(speakers=parts, utterances_per_speaker=1, voices=half))
        for half in ("probe", "pretrain")
    )
    assert not {v.variant for v in probe} & {v.variant for v in pretrain}
    assert not {v.speaker_id for v in probe} & {v.speaker_id for v in pretrain}


@pytest.mark.parametrize("half", ["probe", "pretrain"])
def test_every_variant_is_used_before_any_is_reused_and_no_pair_repeats(half):
    most = len(VARIANTS[half]) * len(ACCENTS)
    settings = EspeakSettings(
        speakers={"train": most - 9, "test": 9}, utterances_per_speaker=1, voices=half
    )
    voices = make_voices(settings)
    assert {v.variant for v in voices[: len(VARIANTS[half])]} == set(VARIANTS[half])
    assert len({v.name for v in voices}) == len(voices) == most


def test_more_voices_than_available_are_rejected():
    settings = EspeakSettings(speakers={"train": 1000}, utterances_per_speaker=1)
    with pytest.raises(ValueError, match=r"at most 248 voices.*found 1000"):
        make_voices(settings)


def test_the_library_knows_every_accent_and_variant():
    known = {path.name for path in Path(espeakng_loader.get_data_path(), "voices/!v").iterdir()}
    assert set(VARIANTS["probe"]) | set(VARIANTS["pretrain"]) <= known
    with open_espeak(0) as espeak:
        spoken = [espeak.say("a short test", f"{accent}+m3", 50, 150) for accent in ACCENTS]
        variants = [
            espeak.say("a short test", f"en-us+{variant}", 50, 150)
            for variant in (*VARIANTS["probe"], *VARIANTS["pretrain"])
        ]
    assert len({wave.tobytes() for wave in spoken}) == len(ACCENTS)
    assert len({wave.tobytes() for wave in variants}) == len(variants)
    assert all(np.abs(wave.astype(int)).max() < 32_767 for wave in spoken + variants)


def test_an_unknown_voice_is_rejected():
    with (
        open_espeak(0) as espeak,
        pytest.raises(RuntimeError, match="espeak_SetVoiceByName"),
    ):
        espeak.say("a short test", "no-such-language", 50, 150)


def test_the_library_starts_from_a_long_installation_path(tmp_path, monkeypatch):
    deep = tmp_path / ("deep" * 50) / "espeak-ng-data"
    deep.parent.mkdir()
    deep.symlink_to(espeakng_loader.get_data_path())
    monkeypatch.setattr(espeakng_loader, "get_data_path", lambda: str(deep))
    with open_espeak(0) as espeak:
        assert len(espeak.say("a short test", "en-us+f3", 50, 150)) > espeak.sample_rate / 2


def test_missing_data_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(espeakng_loader, "get_data_path", lambda: str(tmp_path / "none"))
    with pytest.raises(RuntimeError, match="reinstall espeakng-loader"), open_espeak(0):
        pass


@pytest.mark.parametrize(
    "change",
    [
        {"speakers": {}},
        {"speakers": {"train": 0}},
        {"speakers": {"../up": 2}},
        {"utterances_per_speaker": 0},
        {"seed": -1},
        {"voices": "all"},
        {"pitch": 50},
    ],
)
def test_invalid_settings_are_rejected(change):
    with pytest.raises(pydantic.ValidationError):
        EspeakSettings(**{**SMALL, **change})


def test_kind_selects_the_corpus():
    adapter = pydantic.TypeAdapter(AnyCorpusSettings)
    assert isinstance(adapter.validate_python({"kind": "espeak", **SMALL}), EspeakSettings)
    with pytest.raises(pydantic.ValidationError, match="kind"):
        adapter.validate_python({"kind": "libri", **SMALL})


LONG = "a long sentence that takes the library a while " * 40


@pytest.mark.parametrize("delay", [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.05])
def test_a_signal_while_the_library_speaks_stops_it_and_reaches_the_caller(delay):
    def interrupt(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with open_espeak(0) as espeak:
            with pytest.raises(KeyboardInterrupt):
                signal.setitimer(signal.ITIMER_REAL, delay)
                espeak.say(LONG, "en-us+f3", 50, 150)
            again = espeak.say("a short test", "en-us+f3", 50, 150)
            assert 0.5 < len(again) / espeak.sample_rate < 3
            # A second thread in the library would end the process.
            assert sum(one.name.startswith("espeak") for one in threading.enumerate()) == 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_an_interrupted_corpus_is_not_marked_complete(tmp_path):
    large = {**SMALL, "utterances_per_speaker": 50}  # it takes far longer than until the signal
    script = (
        "import sys, signal; from pathlib import Path; from jobs.corpus.espeak.corpus import *; "
        "signal.signal(signal.SIGALRM, signal.default_int_handler); "
        "signal.setitimer(signal.ITIMER_REAL, 0.1); "
        f"make_espeak_corpus(EspeakSettings(**{large!r}), Path(sys.argv[1]))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(jobs.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], env=environment, capture_output=True
    )
    assert done.returncode == -signal.SIGINT, done.stderr
    assert b"KeyboardInterrupt" in done.stderr and b"ignored" not in done.stderr
    assert not list(tmp_path.rglob("COMPLETE"))


def test_errors_in_the_sample_callback_reach_the_caller(monkeypatch):
    def fail(*_):
        raise MemoryError("no room")

    with open_espeak(0) as espeak:
        monkeypatch.setattr(ctypes, "string_at", fail)
        with pytest.raises(MemoryError, match="no room"):
            espeak.say(LONG, "en-us+f3", 50, 150)
