"""The reader of lhotse's manifests, on manifests that lhotse itself has written."""

import numpy as np
import pytest
import soundfile
from lhotse import Recording, RecordingSet, SupervisionSegment, SupervisionSet
from lhotse.recipes.librispeech import prepare_librispeech

from jobs.activations.store import read_layer
from jobs.audio.read import AudioError, load_audio
from jobs.audio.segments import Span
from jobs.corpus import prepare
from jobs.corpus.lhotse import read_lhotse
from jobs.corpus.lhotse_settings import LhotseSettings
from jobs.corpus.librispeech import read_librispeech
from jobs.corpus.librispeech_settings import LibriSpeechSettings
from jobs.corpus.table import CorpusError
from jobs.extraction.extractor import Extractor
from jobs.extraction.settings import ExtractSettings
from jobs.extraction.shard import Shard
from jobs.models import load_model
from jobs.models.baselines.settings import BaselineSettings
from jobs.models.describe import weights_digest
from jobs.targets.registry import add_targets, find_target


def write_audio(path, n_samples=8_000, channels=1, rate=16_000):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(n_samples).integers(-3000, 3000, (n_samples, channels))
    soundfile.write(path, noise.astype(np.int16), rate)
    return path


class Manifests:
    """Recordings and supervisions of one part."""

    def __init__(self, folder):
        self.folder = folder
        self.recordings, self.supervisions = [], []

    def add(self, name, channels=1, rate=16_000, **changes):
        path = write_audio(self.folder / f"{name}.wav", 8_000 + len(name), channels, rate)
        recording = Recording.from_file(path, recording_id=f"r-{name}")
        self.recordings.append(recording)
        settings = {
            "id": name, "recording_id": recording.id, "start": 0.0, "speaker": "s1",
            "duration": recording.duration, "channel": 0, "text": "A WORD",
        }  # fmt: skip
        self.supervisions.append(SupervisionSegment(**(settings | changes)))
        return path

    def read(self, suffix="jsonl.gz"):
        manifests = {
            "recordings": self.folder / f"recordings.{suffix}",
            "supervisions": self.folder / f"supervisions.{suffix}",
        }
        RecordingSet.from_recordings(self.recordings).to_file(manifests["recordings"])
        SupervisionSet.from_segments(self.supervisions).to_file(manifests["supervisions"])
        return read_lhotse(LhotseSettings(splits={"test": manifests}))


@pytest.fixture
def manifests(tmp_path):
    made = Manifests(tmp_path)
    made.add("first")
    made.add("another")
    return made


def only_skipped(corpus):
    (skipped,) = corpus.skipped
    return skipped


@pytest.mark.parametrize("suffix", ["jsonl.gz", "jsonl", "json"])
def test_an_utterance_a_supervision(manifests, suffix):
    path = manifests.add("third", speaker="s2", text=" ONE TWO ")
    corpus = manifests.read(suffix)
    assert corpus.skipped == ()
    row = corpus.utterances.set_index("utterance_id").loc["third"]
    assert row["audio_path"] == str(path)
    assert (row["speaker_id"], row["chapter_id"], row["split"]) == ("s2", "r-third", "test")
    assert (row["text"], row["n_samples"], row["seconds"]) == ("ONE TWO", 8_005, 8_005 / 16_000)


def test_what_lhotses_own_recipe_makes_of_librispeech_is_what_our_reader_reads(tmp_path):
    root = tmp_path / "LibriSpeech"
    for name in ("84-121123-0000", "84-121123-0001", "1272-128104-0000"):
        speaker, chapter, number = name.split("-")
        folder = root / "dev-clean" / speaker / chapter
        write_audio(folder / f"{name}.flac", 8_000 + 10 * int(number) + int(speaker))
        with (folder / f"{speaker}-{chapter}.trans.txt").open("a") as file:
            file.write(f"{name} SOMETHING {number}\n")
    prepare_librispeech(root, dataset_parts=["dev-clean"], output_dir=tmp_path / "manifests")
    stem = str(tmp_path / "manifests" / "librispeech_{}_dev-clean.jsonl.gz")
    parts = {"test": {kind: stem.format(kind) for kind in ("recordings", "supervisions")}}
    ours = read_librispeech(LibriSpeechSettings(root=root, splits={"test": "dev-clean"}))
    theirs = prepare(LhotseSettings(splits=parts), tmp_path)
    same = [column for column in ours.utterances if column != "chapter_id"]
    assert theirs.utterances[same].equals(ours.utterances[same])
    assert len(theirs.utterances) == 3


def test_relative_paths_start_from_the_root(manifests, tmp_path):
    for recording in manifests.recordings:
        recording.sources[0].source = recording.sources[0].source.removeprefix(f"{tmp_path}/")
    manifests.read()
    parts = {
        "test": {kind: tmp_path / f"{kind}.jsonl.gz" for kind in ("recordings", "supervisions")}
    }
    corpus = read_lhotse(LhotseSettings(splits=parts, root=tmp_path))
    assert len(corpus.utterances) == 2


def test_several_channels_are_mixed_when_the_utterance_is_of_all(manifests):
    manifests.add("stereo", channels=2, channel=[0, 1])
    corpus = manifests.read()
    assert corpus.skipped == ()
    assert corpus.notes == ("1 of 3 utterances are mixed to mono: 1 of 2 channels",)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"recording_id": "r-none"}, "missing audio: no recording is called 'r-none'"),
        ({"speaker": None}, "no speaker"),
        ({"channels": 2, "channel": 0}, "one of several channels"),
    ],
)
def test_what_cannot_be_used_is_named_and_the_rest_goes_on(manifests, changes, reason):
    manifests.add("odd", **changes)
    corpus = manifests.read()
    assert only_skipped(corpus).utterance_id == "odd"
    assert only_skipped(corpus).reason.startswith(reason)
    assert len(corpus.utterances) == 2


def test_a_command_or_an_address_is_no_file(manifests):
    manifests.add("odd")
    manifests.recordings[-1].sources[0].type = "command"
    assert "expected a recording with one source" in only_skipped(manifests.read()).reason


def test_a_recording_that_is_changed_on_the_fly_is_not_its_file(manifests):
    manifests.add("odd")
    manifests.recordings[-1] = manifests.recordings[-1].perturb_speed(1.1, affix_id=False)
    manifests.supervisions[-1].duration = manifests.recordings[-1].duration
    assert only_skipped(manifests.read()).reason.startswith("changed on the fly")


def test_a_file_that_is_gone_is_named(manifests):
    manifests.add("odd").unlink()
    assert only_skipped(manifests.read()).reason == "missing audio: no such file"


def test_pieces_of_a_long_recording_are_utterances(tmp_path):
    """At 16 kHz the samples are those that lhotse itself cuts out; else their number is right."""
    manifests = Manifests(tmp_path)
    for name, rate in (("long", 16_000), ("other", 44_100)):
        path = write_audio(tmp_path / f"{name}.flac", 3 * rate, 1, rate)
        manifests.recordings.append(Recording.from_file(path, recording_id=name))
        for number, (start, end) in enumerate([(0.0, 1.0), (0.7503, 1.9), (2.5, 3.0)]):
            manifests.supervisions.append(
                SupervisionSegment(
                    id=f"{name}-{number}",
                    recording_id=name,
                    start=start,
                    duration=end - start,
                    channel=0,
                    speaker=f"s{number}",
                    text="A WORD",
                )
            )
    corpus = manifests.read()
    assert corpus.skipped == ()
    table = corpus.utterances.set_index("utterance_id")
    assert table["audio_digest"].is_unique
    assert table.loc["long-1", "seconds"] == (30_400 - 12_005) / 16_000
    recordings = {one.id: one for one in manifests.recordings}
    for one in manifests.supervisions:
        row = table.loc[one.id]
        wave = load_audio(row["audio_path"])
        assert len(wave) == row["n_samples"]
        recording = recordings[one.recording_id]
        if recording.sampling_rate == 16_000:
            theirs = recording.load_audio(offset=one.start, duration=one.duration)[0]
            np.testing.assert_array_equal(wave, theirs * 32_768)


def test_pieces_are_extracted_as_files_of_their_own_are(tmp_path):
    """What a model makes of a piece is what it makes of a file with the same samples."""
    whole = write_audio(tmp_path / "whole.wav", 16_000)
    soundfile.write(
        tmp_path / "piece.wav", soundfile.read(whole, dtype="int16")[0][4_000:12_000], 16_000
    )
    paths = (Span(0.25, 0.75).of(whole), str(tmp_path / "piece.wav"))
    model = BaselineSettings(name="b", what="fbank")
    shard = Shard(
        folder=tmp_path,
        index=0,
        utterance_ids=("a", "b"),
        audio_paths=paths,
        model_digest=weights_digest(load_model(model)),
    )
    assert Extractor(ExtractSettings(model=model)).extract(shard).skipped == ()
    _, (first, second) = read_layer(tmp_path, 1, "statistics")
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    ("start", "duration", "reason"),
    [
        (0.2, 0.5, "beyond the end: expected a piece within 0.500 s, found 0.200 to 0.700 s"),
        (0.2, 0.02, "too short: expected at least 400 samples"),
        (0.0, 5.0, "beyond the end: expected a piece within 0.500 s, found 0.000 to 5.000 s"),
    ],
)
def test_a_piece_that_cannot_be_used_is_named(manifests, start, duration, reason):
    manifests.add("odd", start=start, duration=duration)
    skipped = only_skipped(manifests.read())
    assert skipped.reason.startswith(reason)
    assert skipped.path.endswith(f"#t={start:.6f},{start + duration:.6f}")
    with pytest.raises(AudioError, match=reason):
        load_audio(skipped.path)


def test_a_supervision_that_is_rounded_beyond_its_recording_is_cut(manifests):
    for name, start, end in (("start", -0.001, 0.3), ("end", 0.2, 0.56), ("both", -0.05, 0.6)):
        manifests.add(name, start=start, duration=end - start)
    corpus = manifests.read()
    assert corpus.skipped == ()
    table = corpus.utterances.set_index("utterance_id")
    whole = 8_000 + len("both")
    expected = {"start": 4_800, "end": 8_000 + len("end") - 3_200, "both": whole}
    for name, n_samples in expected.items():
        assert table.loc[name, "n_samples"] == n_samples
        assert len(load_audio(table.loc[name, "audio_path"])) == n_samples


def test_a_file_whose_name_looks_like_a_piece_is_a_file(tmp_path):
    write_audio(tmp_path / "a.wav#t=1,2.wav")
    odd = write_audio(tmp_path / "b.wav").rename(tmp_path / "b#t=0.1,0.2")
    assert len(load_audio(tmp_path / "a.wav#t=1,2.wav")) == 8_000
    assert len(load_audio(odd)) == 8_000


def test_an_utterance_without_a_transcript_has_no_rate(manifests):
    manifests.add("mute", text=None)
    table = add_targets(manifests.read().utterances, ["cps"]).set_index("utterance_id")
    assert table["cps"].isna().sum() == 1
    assert np.isnan(table.loc["mute", "cps"])


def test_the_gender_of_supervisions_is_the_sex_of_the_speaker(manifests):
    assert "sex" not in manifests.read().utterances
    manifests.add("third", gender="female")
    table = add_targets(manifests.read().utterances, ["sex"]).set_index("utterance_id")
    assert table["sex"].to_dict() == {"first": "", "another": "", "third": "female"}


def test_the_language_of_supervisions_is_a_class(manifests):
    assert "language" not in manifests.read().utterances
    for number, language in enumerate(["ru", "de"] * 3):
        manifests.add(f"u{number}", language=language)
    table = manifests.read().utterances
    assert find_target("language", table).kind == "classification"
    assert set(add_targets(table, ["language"])["language"]) == {"", "ru", "de"}


@pytest.mark.parametrize("text", ["no json\n", '{"id": "x"}\n', "[1, 2]\n"])
def test_what_is_no_manifest_is_refused(manifests, tmp_path, text):
    manifests.read("jsonl")
    (tmp_path / "recordings.jsonl").write_text(text)
    parts = {"test": {kind: tmp_path / f"{kind}.jsonl" for kind in ("recordings", "supervisions")}}
    with pytest.raises(CorpusError, match=r"recordings\.jsonl is not a manifest of recordings"):
        read_lhotse(LhotseSettings(splits=parts))


def test_a_manifest_that_is_not_there_is_named(tmp_path):
    parts = {"test": {"recordings": tmp_path / "r.jsonl", "supervisions": tmp_path / "s.jsonl"}}
    with pytest.raises(CorpusError, match=r"no manifest at .*r\.jsonl"):
        read_lhotse(LhotseSettings(splits=parts))


@pytest.mark.parametrize("key", ["root", "recordings"])
def test_the_home_of_a_user_who_is_not_known_is_an_error_of_the_corpus(tmp_path, key):
    paths = {"root": tmp_path, "recordings": tmp_path, "supervisions": tmp_path}
    paths[key] = "~nobody-is-called-so/x"
    root = paths.pop("root")
    with pytest.raises(CorpusError, match="no home directory for ~nobody-is-called-so"):
        read_lhotse(LhotseSettings(root=root, splits={"test": paths}))
