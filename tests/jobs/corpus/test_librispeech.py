"""The LibriSpeech reader: what it reads, what it skips and why, what stops it."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pydantic
import pytest
import soundfile

from jobs.audio.read import load_audio
from jobs.corpus import prepare
from jobs.corpus.audio_checks import read_flac_header
from jobs.corpus.librispeech import read_librispeech
from jobs.corpus.librispeech_settings import LibriSpeechSettings
from jobs.corpus.table import CorpusError
from jobs.targets.registry import add_targets, find_target


def samples(n_samples=8_000, seed=0):
    return np.random.default_rng(seed).integers(-3000, 3000, n_samples).astype(np.int16)


def write_flac(path, data, rate=16_000):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, data, rate, format="FLAC", subtype="PCM_16")


def without_frames(data):
    """The metadata of a FLAC, without any audio and with a sample count of zero."""
    end, last = 4, 0
    while not last:
        last = data[end] >> 7
        end += 4 + int.from_bytes(data[end + 1 : end + 4])
    return data[:21] + bytes([data[21] & 0xF0, 0, 0, 0, 0]) + data[26:end]


class Tree:
    """A small corpus: two speakers in dev-clean, one in test-clean."""

    def __init__(self, root):
        self.root = root
        self.lines = {}
        for subset, speaker, chapter, count in [
            ("dev-clean", "84", "121123", 3),
            ("dev-clean", "1272", "0012", 2),
            ("test-clean", "61", "70968", 2),
        ]:
            for number in range(count):
                self.add(subset, f"{speaker}-{chapter}-{number:04d}", f"WORD {number}")

    def folder(self, subset, name):
        speaker, chapter, _ = name.split("-")
        return self.root / subset / speaker / chapter

    def transcripts(self, subset, name):
        speaker, chapter, _ = name.split("-")
        return self.folder(subset, name) / f"{speaker}-{chapter}.trans.txt"

    def add(self, subset, name, text="A TEST", data=None):
        path = self.folder(subset, name) / f"{name}.flac"
        seed = int(name.replace("-", ""))
        write_flac(path, samples(8_000 + seed % 7, seed) if data is None else data)
        self.add_line(subset, name, text)
        return path

    def add_line(self, subset, name, text):
        with self.transcripts(subset, name).open("a", encoding="utf-8") as file:
            file.write(f"{name} {text}\n")

    def read(self):
        return read_librispeech(
            LibriSpeechSettings(
                root=self.root, splits={"validation": "dev-clean", "test": ["test-clean"]}
            )
        )


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path / "LibriSpeech")


def only_skipped(corpus):
    """The one utterance that was skipped, and the ids of the rest."""
    (skipped,) = corpus.skipped
    return skipped, set(corpus.utterances["utterance_id"])


def test_every_column_of_a_whole_tree(tree):
    corpus = tree.read()
    assert corpus.skipped == ()
    table = corpus.utterances.set_index("utterance_id")
    assert len(table) == 7
    row = table.loc["1272-0012-0001"]
    path = tree.root / "dev-clean/1272/0012/1272-0012-0001.flac"
    assert row["audio_path"] == str(path)
    assert Path(row["audio_path"]).is_absolute()
    assert (row["speaker_id"], row["chapter_id"], row["split"]) == ("1272", "0012", "validation")
    assert row["text"] == "WORD 1"
    assert row["n_samples"] == soundfile.info(path).frames
    assert row["seconds"] == soundfile.info(path).frames / 16_000
    assert set(table["split"]) == {"validation", "test"}


def test_two_readings_are_the_same_table(tree):
    assert tree.read().utterances.equals(tree.read().utterances)


def test_several_subsets_make_one_part(tree):
    settings = LibriSpeechSettings(root=tree.root, splits={"all": ["dev-clean", "test-clean"]})
    assert set(prepare(settings, tree.root).utterances["split"]) == {"all"}


def test_the_digest_carries_the_md5_of_the_decoded_audio(tree):
    data = samples(9_000, 5)
    path = tree.add("test-clean", "61-70968-0005", data=data)
    header = read_flac_header(path)
    # FLAC's MD5 is over the samples, signed little-endian, channels interleaved (RFC 9639, 8.2).
    assert header.md5 == hashlib.md5(data.astype("<i2").tobytes()).digest()
    assert (header.sample_rate, header.channels, header.n_samples) == (16_000, 1, 9_000)
    digests = tree.read().utterances.set_index("utterance_id")["audio_digest"]
    size = path.stat().st_size
    assert digests["61-70968-0005"] == f"{header.md5.hex()}-9000-{size}"


@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (44_100, 2), (96_000, 1), (16_000, 8)])
def test_the_header_is_read_as_libsndfile_reads_it(tmp_path, rate, channels):
    data = np.zeros((1234, channels), dtype=np.int16)
    soundfile.write(tmp_path / "a.flac", data, rate, subtype="PCM_24")
    info, header = soundfile.info(tmp_path / "a.flac"), read_flac_header(tmp_path / "a.flac")
    assert (header.sample_rate, header.channels, header.n_samples) == (
        info.samplerate,
        info.channels,
        info.frames,
    )


def test_the_digest_follows_the_audio_and_not_its_place(tree, tmp_path):
    moved = Tree(tmp_path / "elsewhere")
    first, second = tree.read().utterances, moved.read().utterances
    assert list(first["audio_digest"]) == list(second["audio_digest"])
    assert first["audio_digest"].is_unique
    moved.add("dev-clean", "84-121123-0000", data=samples(8_000, 99))
    third = moved.read().utterances.set_index("utterance_id")["audio_digest"]
    before = first.set_index("utterance_id")["audio_digest"]
    assert [name for name in third.index if third[name] != before[name]] == ["84-121123-0000"]


def test_a_file_that_was_cut_off_has_another_digest(tree):
    before = tree.read().utterances.set_index("utterance_id")["audio_digest"]
    path = tree.root / "test-clean/61/70968/61-70968-0000.flac"
    path.write_bytes(path.read_bytes()[:-500])
    after = tree.read().utterances.set_index("utterance_id")["audio_digest"]
    assert before["61-70968-0000"] != after["61-70968-0000"]


def test_without_an_md5_the_file_itself_is_the_identity(tree):
    path = tree.root / "test-clean/61/70968/61-70968-0000.flac"
    data = bytearray(path.read_bytes())
    data[26:42] = bytes(16)
    path.write_bytes(data)
    table = tree.read().utterances.set_index("utterance_id")
    expected = hashlib.sha256(data).hexdigest()
    assert table.loc["61-70968-0000", "audio_digest"].startswith(expected)


def test_a_transcript_without_audio_is_named(tree):
    tree.add_line("test-clean", "61-70968-0009", "GONE")
    skipped, rest = only_skipped(tree.read())
    assert skipped.utterance_id == "61-70968-0009"
    assert skipped.path == str(tree.root / "test-clean/61/70968/61-70968-0009.flac")
    assert "missing audio" in skipped.reason
    assert len(rest) == 7


def test_audio_without_a_transcript_is_named(tree):
    path = tree.folder("test-clean", "61-70968-0009") / "61-70968-0009.flac"
    write_flac(path, samples())
    skipped, rest = only_skipped(tree.read())
    assert (skipped.utterance_id, skipped.path) == ("61-70968-0009", str(path))
    assert "audio without a transcript" in skipped.reason
    assert len(rest) == 7


def test_a_chapter_without_its_transcript_file_names_every_utterance(tree):
    tree.transcripts("test-clean", "61-70968-0000").unlink()
    corpus = tree.read()
    assert [s.utterance_id for s in corpus.skipped] == ["61-70968-0000", "61-70968-0001"]
    assert all("61-70968.trans.txt" in s.reason for s in corpus.skipped)
    assert len(corpus.utterances) == 5


def test_a_link_to_nowhere_and_a_folder_count_as_missing_audio(tree):
    for name in ("61-70968-0008", "61-70968-0009"):
        tree.add("test-clean", name).unlink()
    folder = tree.folder("test-clean", "61-70968-0008")
    (folder / "61-70968-0008.flac").symlink_to(folder / "nowhere")
    (folder / "61-70968-0009.flac").mkdir()
    corpus = tree.read()
    assert [s.utterance_id for s in corpus.skipped] == ["61-70968-0008", "61-70968-0009"]
    assert all("missing audio" in s.reason for s in corpus.skipped)
    assert len(corpus.utterances) == 7


@pytest.mark.parametrize("text", ["", "   ", "' - '"])
def test_an_empty_transcript_is_named(tree, text):
    tree.add("test-clean", "61-70968-0009", text)
    skipped, rest = only_skipped(tree.read())
    assert "empty transcript" in skipped.reason
    assert len(rest) == 7


def test_a_transcript_that_is_not_utf_8_is_named(tree):
    tree.add("test-clean", "61-70968-0009", "X")
    path = tree.transcripts("test-clean", "61-70968-0009")
    path.write_bytes(path.read_bytes()[:-2] + b"CAF\xc9\n")
    skipped, rest = only_skipped(tree.read())
    assert skipped.utterance_id == "61-70968-0009"
    assert "not UTF-8" in skipped.reason
    assert len(rest) == 7


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path.write_bytes(b""), "empty file"),
        (lambda path: path.write_bytes(b"fLaC\x00\x00"), "truncated: a FLAC header"),
        (lambda path: path.write_bytes(b"<html>no such page</html>" * 9), "b'<htm'"),
        (lambda path: write_flac(path, samples(399)), "at least 400 samples"),
        (lambda path: write_flac(path, samples(), 2_000), "expected 4000 to 384000 Hz, found 2000"),
        (lambda path: write_flac(path, samples(1099), 44_100), "(one frame), found 399"),
        (lambda path: path.write_bytes(without_frames(path.read_bytes())), "zero duration"),
    ],
    ids=["empty", "cut", "html", "short", "rate", "short at 16 kHz", "zero"],
)
def test_audio_that_cannot_be_used_is_named_and_the_rest_goes_on(tree, make, reason):
    path = tree.add("test-clean", "61-70968-0009")
    make(path)
    skipped, rest = only_skipped(tree.read())
    assert (skipped.utterance_id, skipped.path) == ("61-70968-0009", str(path))
    assert reason in skipped.reason
    assert len(rest) == 7


def test_other_rates_and_channels_are_used_and_said_once(tree):
    write_flac(tree.add("test-clean", "61-70968-0007"), samples(4_000), 8_000)
    write_flac(tree.add("test-clean", "61-70968-0008"), samples(4_410).reshape(-1, 2), 44_100)
    soundfile.write(tree.add("test-clean", "61-70968-0009"), samples(), 16_000, subtype="PCM_24")
    corpus = tree.read()
    assert corpus.skipped == ()
    assert corpus.notes == (
        "2 of 10 utterances are resampled to 16 kHz: 1 from 8000 Hz, 1 from 44100 Hz",
        "1 of 10 utterances are mixed to mono: 1 of 2 channels",
    )
    table = corpus.utterances.set_index("utterance_id")
    assert tuple(table.loc["61-70968-0007", ["seconds", "n_samples"]]) == (0.5, 8_000)
    assert tuple(table.loc["61-70968-0008", ["seconds", "n_samples"]]) == (0.05, 800)
    for name in ("61-70968-0007", "61-70968-0008", "61-70968-0009"):
        assert len(load_audio(table.loc[name, "audio_path"])) == table.loc[name, "n_samples"]


def test_a_usual_corpus_has_nothing_to_note(tree):
    assert tree.read().notes == ()


def test_the_same_samples_at_another_rate_are_another_sound(tree):
    names = ["61-70968-0007", "61-70968-0008", "61-70968-0009"]
    same = samples(8_000)
    write_flac(tree.add("test-clean", names[0]), same)
    write_flac(tree.add("test-clean", names[1]), same, 8_000)
    write_flac(tree.add("test-clean", names[2]), same.reshape(-1, 2), 8_000)
    digests = tree.read().utterances.set_index("utterance_id").loc[names, "audio_digest"]
    assert len({digest.split("-")[0] for digest in digests}) == 1
    assert digests.is_unique


def test_an_id_that_comes_twice_is_used_once(tree):
    tree.add_line("test-clean", "61-70968-0001", "ONCE MORE")
    skipped, rest = only_skipped(tree.read())
    assert skipped.utterance_id == "61-70968-0001"
    assert "duplicate utterance id" in skipped.reason
    assert len(rest) == 7


def test_an_id_that_comes_in_two_parts_is_used_once(tree):
    write_flac(tree.root / "dev-clean/9/8/61-70968-0001.flac", samples())
    (tree.root / "dev-clean/9/8/9-8.trans.txt").write_text("61-70968-0001 A COPY\n")
    skipped, rest = only_skipped(tree.read())
    assert "duplicate utterance id" in skipped.reason
    assert str(tree.root / "dev-clean/9/8/61-70968-0001.flac") in skipped.reason
    assert len(rest) == 7


def test_windows_line_ends_blank_lines_and_hidden_files_do_no_harm(tree):
    path = tree.transcripts("test-clean", "61-70968-0000")
    path.write_bytes(b"61-70968-0000 WORD 0\r\n\r\n61-70968-0001 WORD 1\r\n")
    (path.parent / "._61-70968-0000.flac").write_bytes(b"a file that a Mac leaves")
    (tree.root / "test-clean" / ".DS_Store").mkdir()
    corpus = tree.read()
    assert corpus.skipped == ()
    assert set(corpus.utterances.query("split == 'test'")["text"]) == {"WORD 0", "WORD 1"}


@pytest.mark.parametrize("suffix", ["wav", "WAV", "ogg", "mp3"])
def test_a_copy_in_another_format_is_read(tree, suffix):
    for path in tree.root.rglob("*.flac"):
        data, rate = soundfile.read(path)
        form = {"ogg": "OGG", "mp3": "MP3"}.get(suffix, "WAV")
        soundfile.write(path.with_suffix(f".{suffix}"), data, rate, format=form)
        path.unlink()
    corpus = tree.read()
    assert corpus.skipped == ()
    assert len(corpus.utterances) == 7
    assert all(path.endswith(f".{suffix}") for path in corpus.utterances["audio_path"])


def test_of_two_formats_of_an_utterance_flac_is_used(tree):
    before = tree.read().utterances
    path = tree.root / "test-clean/61/70968/61-70968-0000.flac"
    soundfile.write(path.with_suffix(".wav"), samples(), 16_000)
    corpus = tree.read()
    assert corpus.skipped == ()
    assert corpus.utterances.equals(before)


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf61-70968-0000 WORD 0\n61-70968-0001 WORD 1\n",
        b"61-70968-0000\tWORD 0\n61-70968-0001 \t WORD 1 \n",
        "61-70968-0000\u00a0WORD 0\n61-70968-0001   WORD 1\u00a0\n".encode(),
        b"61-70968-0000 WORD 0\r61-70968-0001 WORD 1\r",
        b"61-70968-0000 WORD 0\n\xef\xbb\xbf61-70968-0001 WORD 1",
        "61-70968-0000 WORD 0\n61-70968-0001 WORD 1\n".encode("utf-16"),
    ],
    ids=["mark", "tab", "no-break space", "CR", "two marks", "UTF-16"],
)
def test_transcripts_of_other_programs_are_read(tree, data):
    tree.transcripts("test-clean", "61-70968-0000").write_bytes(data)
    corpus = tree.read()
    assert corpus.skipped == ()
    texts = corpus.utterances.set_index("utterance_id")["text"]
    assert texts["61-70968-0000"] == "WORD 0"
    assert texts["61-70968-0001"] == "WORD 1"


def test_a_no_break_space_within_a_transcript_stays(tree):
    tree.transcripts("test-clean", "61-70968-0000").write_text(
        "61-70968-0000 ONE\u00a0TWO\n61-70968-0001 A\n", encoding="utf-8"
    )
    texts = tree.read().utterances.set_index("utterance_id")["text"]
    assert texts["61-70968-0000"] == "ONE\u00a0TWO"


@pytest.mark.parametrize(
    "place", ["dev-clean/9", "dev-clean/84/9", "dev-clean/84/121123/84-121123-9.flac"]
)
@pytest.mark.parametrize("target", ["nowhere", "."])
def test_a_link_that_leads_nowhere_or_to_itself_is_skipped_and_the_rest_is_read(
    tree, place, target
):
    link = tree.root / place
    link.symlink_to(link.name if target == "." else target)
    corpus = tree.read()
    assert len(corpus.utterances) == 7
    names = [one.path for one in corpus.skipped]
    if link.suffix and target == "nowhere":
        assert names == []  # nothing refers to it
    else:
        assert names == [str(link)]


@pytest.mark.parametrize(
    ("place", "lost"), [("dev-clean/84", 3), ("dev-clean/84/121123", 3), ("test-clean/61/70968", 2)]
)
def test_a_folder_that_may_not_be_read_is_skipped_and_the_rest_is_read(
    tree, place, lost, monkeypatch
):
    scandir, closed = os.scandir, str(tree.root / place)

    def refusing(path):
        if str(path) == closed:
            raise PermissionError(13, "Permission denied", closed)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    skipped, rest = only_skipped(tree.read())
    assert (skipped.path, skipped.reason) == (closed, "unreadable folder: Permission denied")
    assert len(rest) == 7 - lost


def test_a_transcript_file_that_may_not_be_read_is_the_reason_of_its_utterances(tree, monkeypatch):
    closed, read_bytes = tree.transcripts("test-clean", "61-70968-0000"), Path.read_bytes

    def refusing(path):
        if path == closed:
            raise PermissionError(13, "Permission denied", str(path))
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", refusing)
    corpus = tree.read()
    assert len(corpus.utterances) == 5
    assert [one.utterance_id for one in corpus.skipped] == ["61-70968-0000", "61-70968-0001"]
    assert all("61-70968.trans.txt: Permission denied" in one.reason for one in corpus.skipped)


def test_a_subset_that_may_not_be_read_is_an_error_of_the_corpus(tree, monkeypatch):
    scandir = os.scandir

    def refusing(path):
        if Path(path).name == "dev-clean":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(CorpusError, match="dev-clean cannot be read: Permission denied"):
        tree.read()


SPEAKERS = """\
; Some pipe(|) separated metadata about all the speakers
;
;ID  |SEX| SUBSET           |MINUTES| NAME
84   | F | dev-clean        |  8.02 | Christie Nowak
61   | M | test-clean       |  8.08 | |CBW|Simon
1272 | x | dev-clean        |
99   | F | train-clean-100  | 25.03 | Nobody Here
"""


def sexes(corpus):
    table = corpus.utterances
    return dict(zip(table["speaker_id"], table["sex"], strict=True))


@pytest.mark.parametrize("place", [".", ".."])
def test_speakers_txt_in_the_root_or_above_tells_the_sex(tree, place):
    (tree.root / place / "SPEAKERS.TXT").write_text(SPEAKERS)
    corpus = tree.read()
    assert sexes(corpus) == {"84": "F", "61": "M", "1272": ""}
    added = add_targets(corpus.utterances, ["sex", "speaker"])
    assert list(added["speaker"]) == list(added["speaker_id"])


def test_speakers_txt_beside_a_subset_deeper_down_tells_the_sex(tree):
    (tree.root / "SPEAKERS.TXT").write_text(SPEAKERS)
    settings = LibriSpeechSettings(
        root=tree.root.parent, splits={"test": f"{tree.root.name}/test-clean"}
    )
    assert sexes(read_librispeech(settings)) == {"61": "M"}


def test_speakers_txt_may_have_a_mark_and_spell_the_sexes_otherwise(tree):
    text = SPEAKERS.split("\n", 3)[3].replace("| F |", "| female |").replace("| M |", "| m |")
    (tree.root / "SPEAKERS.TXT").write_text(text, encoding="utf-8-sig")
    assert sexes(tree.read()) == {"84": "F", "61": "M", "1272": ""}


@pytest.mark.parametrize(
    "text", [None, "", "84 | F\n", "no table at all\n", "; 84 | F | a | 1 | b\n"]
)
def test_without_what_it_should_hold_the_sex_is_not_known_and_its_target_says_so(tree, text):
    if text is not None:
        (tree.root / "SPEAKERS.TXT").write_text(text)
    table = tree.read().utterances
    assert "sex" not in table
    with pytest.raises(
        ValueError, match=r"does not give the speakers' sex: expected SPEAKERS\.TXT"
    ):
        find_target("sex", table)


def test_progress_counts_chapters(tree):
    told = []
    settings = LibriSpeechSettings(root=tree.root, splits={"all": ["dev-clean", "test-clean"]})
    read_librispeech(settings, lambda *progress: told.append(progress))
    assert told == [("reading chapters", done, 3) for done in range(4)]


def test_a_missing_root_says_what_to_correct(tmp_path):
    settings = LibriSpeechSettings(root=tmp_path / "none", splits={"test": "test-clean"})
    with pytest.raises(CorpusError, match=r"no corpus at .*none.*correct corpus\.root"):
        read_librispeech(settings)


def test_a_missing_subset_lists_those_that_are_there(tree):
    settings = LibriSpeechSettings(root=tree.root, splits={"test": "test-claen"})
    with pytest.raises(
        CorpusError, match=r"'test-claen'.*found the folders: dev-clean, test-clean"
    ):
        read_librispeech(settings)


def test_a_root_one_folder_too_high_is_told_the_layout(tree):
    settings = LibriSpeechSettings(root=tree.root / "dev-clean", splits={"test": "84"})
    with pytest.raises(CorpusError, match=r"expected SPEAKER/CHAPTER folders"):
        read_librispeech(settings)


@pytest.mark.parametrize(
    ("splits", "problem"),
    [
        ({}, "at least one split"),
        (
            {"train": "dev-clean", "test": ["test-clean", "dev-clean"]},
            "split only: dev-clean",
        ),
        ({"train": []}, "subset folder for the split train"),
        ({"train": ""}, "subset folder for the split train"),
    ],
)
def test_parts_that_make_no_sense_are_refused(tmp_path, splits, problem):
    with pytest.raises(pydantic.ValidationError, match=problem):
        LibriSpeechSettings(root=tmp_path, splits=splits)


def test_the_home_of_a_user_who_is_not_known_is_an_error_of_the_corpus():
    settings = LibriSpeechSettings(
        root="~nobody-is-called-so/corpus", splits={"test": "test-clean"}
    )
    with pytest.raises(CorpusError, match="no home directory for ~nobody-is-called-so"):
        read_librispeech(settings)
