"""Files are called as they were when the first of them was written.

A file of the cache, or of a run, is found again by its name alone: see `test_golden_ids`.
"""

import json
import struct
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import pytest

from jobs.activations.cache_layout import data_path, manifest_path
from jobs.audio.segments import Span, at_tempo
from jobs.corpus.audio_checks import describe_audio
from jobs.corpus.espeak.corpus import make_espeak_corpus
from jobs.corpus.espeak.settings import EspeakSettings
from jobs.probing.joint_cca import JointCca
from jobs.probing.saved_probes import Saving, card_path
from jobs.probing.tempo import StretchedSpeech
from jobs.storage.location import RemotePath, Stat
from jobs.storage.node_cache import NodeCache
from jobs.storage.object_store import whole_object
from jobs.targets.measurements import MEASUREMENTS
from sweep.plan.plan import layer_tasks
from sweep.running.probe_jobs import ProbeJobs
from sweep.state.cache_users import remember_run
from sweep.state.run_folder import RunFolder, run_folder
from tests.support import golden

RUN, CACHE = Path("/run"), Path("/cache")


def test_what_a_layer_is_probed_from_and_to() -> None:
    plan = golden.plan(
        targets=["cps", "pause"],
        probes=[{"kind": "ridge"}, {"kind": "cca", "components": 2}],
        tempo={"factors": [0.8, 1.25], "utterances": 3},
    )
    task = next(task for task in layer_tasks(plan) if task.layer.name == "layer.1")
    job = ProbeJobs(plan, RunFolder(RUN), CACHE, save_probes=True).make(task, alone=False)
    saving, stretched, joint = job.parts
    assert isinstance(saving, Saving) and saving.folder == RUN / "probes"
    assert isinstance(stretched, StretchedSpeech) and isinstance(joint, JointCca)
    predictions = RUN / "predictions"
    assert job.predictions == predictions / "a--layer.1--99bfb2b5aba2f439.npz"
    assert joint.file == predictions / "a--layer.1--canonical-d75d8d452db1f39d.npz"
    assert stretched.predictions == (
        predictions / "a--layer.1--99bfb2b5aba2f439--tempo-632a59c6af1fa625.npz"
    )
    activations = CACHE / "activations"
    assert [str(folder) for folder, _ in job.activations] == [
        str(activations / name)
        for name in ("a12c51b0d4b3e6d7", "7fe1eab143805f62", "797ef2e52b6bfda5")
    ]
    assert [folder for _, folder, _ in stretched.sets] == [
        activations / "940d76852ef8c186",
        activations / "406a0864cce65e7f",
    ]
    assert card_path(RUN / "probes", "0123456789abcdef") == RUN / "probes" / "0123456789abcdef.json"


def test_shards_of_activations() -> None:
    assert data_path(CACHE, 12) == CACHE / "shard-00012.safetensors"
    assert manifest_path(CACHE, 12) == CACHE / "shard-00012.json"


def test_what_was_measured_in_audio() -> None:
    praat = f"praat-parselmouth-{version('praat-parselmouth')}"
    assert {name: one.file for name, one in MEASUREMENTS.items()} == {
        "speech": f"speech-1-silero-vad-{version('silero-vad')}.jsonl",
        "pitch_quartiles": f"pitch_quartiles-1-{praat}.jsonl",
        "pitch": f"pitch-3-{praat}.jsonl",
        "level": "level-1.jsonl",
    }


def test_a_synthetic_corpus_is_found_by_its_settings_and_the_version_of_its_speaker(
    tmp_path: Path,
) -> None:
    settings = EspeakSettings(speakers={"train": 2, "test": 1}, utterances_per_speaker=3)
    made_of = [
        {"kind": "espeak", "seed": 0, "speakers": {"test": 1, "train": 2},
         "utterances_per_speaker": 3, "voices": "probe"},
        {"espeakng-loader": version("espeakng-loader"), "version": 3},
    ]  # fmt: skip
    text = json.dumps(made_of, separators=(",", ":"), sort_keys=True)
    root = tmp_path / "corpora" / f"espeak-{sha256(text.encode()).hexdigest()[:16]}"
    root.mkdir(parents=True)
    (root / "COMPLETE").touch()
    assert make_espeak_corpus(settings, tmp_path).root == root


def test_what_a_machine_keeps_of_a_store(tmp_path: Path) -> None:
    place = RemotePath("s3://bucket/cache/shard", {"": Stat(5, "version 1")})
    NodeCache(tmp_path, 1000).keep(b"bytes", *whole_object(place).key)
    expected = sha256(b"s3://bucket/cache/shard\0version 1\x000\x005").hexdigest()
    assert [path.name for path in tmp_path.iterdir()] == [expected]


def test_a_run_is_remembered_by_its_cache_and_a_run_on_a_store_has_a_copy(tmp_path: Path) -> None:
    remember_run(tmp_path, RunFolder(Path("/results/my run")))
    [note] = (tmp_path / "runs").iterdir()
    assert note.name == "my-run-d05337d0.json"
    assert json.loads(note.read_text()) == {"run": "/results/my run"}
    assert run_folder(RemotePath("s3://bucket/runs/demo one")).root.name == "demo-one-23894174"


def wav(sample_rate: int, channels: int) -> bytes:
    """A second of silence, as a canonical WAV file of 16 bits."""
    data = bytes(2 * channels * sample_rate)
    rate = 2 * channels * sample_rate
    form = struct.pack("<HHIIHH", 1, channels, sample_rate, rate, 2 * channels, 16)
    chunks = b"fmt " + struct.pack("<I", len(form)) + form
    chunks += b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def flac(md5: bytes) -> bytes:
    """The header of a FLAC file of one second at 16 kHz, one channel, 16 bits (RFC 9639, 8.2)."""
    packed = 16_000 << 44 | 0 << 41 | 15 << 36 | 16_000
    block = struct.pack(">HH", 4096, 4096) + bytes(6) + packed.to_bytes(8) + md5
    return b"fLaC" + bytes([0x80]) + len(block).to_bytes(3) + block


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.flac", flac(bytes(range(16))), "000102030405060708090a0b0c0d0e0f-16000-42"),
        ("b.flac", flac(bytes(16)), "SHA256-16000-42"),
        ("a.wav", wav(16_000, 1), "SHA256-16000-32044"),
        ("b.wav", wav(8_000, 2), "SHA256-16000-32044-8000x2"),
    ],
)
def test_audio_is_known_by_its_samples_and_where_these_are_not_named_by_the_whole_file(
    name: str, content: bytes, expected: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    found = describe_audio(path, len(content))
    assert found.digest == expected.replace("SHA256", sha256(content).hexdigest())
    piece = found.piece(Span(0.25, 0.75))
    rate = found.sample_rate
    assert piece.digest == f"{found.digest}@{rate // 4}+{rate // 2}"


def test_pieces_and_stretched_pieces_of_recordings() -> None:
    piece = Span(0.25, 1.5).of(Path("/audio/a.flac"))
    assert piece == "/audio/a.flac#t=0.250000,1.500000"
    assert at_tempo(piece, 0.8) == f"{piece}&tempo=0.8"
    assert at_tempo("/audio/a.flac", 1.25) == "/audio/a.flac#tempo=1.25"
