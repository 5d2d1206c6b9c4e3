"""A synthetic corpus in LibriSpeech's layout, spoken by the espeak-ng library.

It is for demonstrations and tests, where no real corpus is at hand, and it says so in its own
README. A voice is an English accent × a voice variant × a pitch × a mean speaking rate of its own;
the rates of its utterances scatter around that mean.
"""

from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import pandas as pd
import soundfile
from scipy.signal import resample_poly

from jobs.audio.frames import SAMPLE_RATE
from jobs.corpus.assemble import with_progress
from jobs.corpus.espeak.library import Espeak, open_espeak
from jobs.corpus.espeak.sentences import count_letters, sentence
from jobs.corpus.espeak.settings import EspeakSettings
from jobs.corpus.librispeech import SPEAKERS
from jobs.corpus.librispeech_settings import LibriSpeechSettings
from jobs.corpus.table import CorpusError, Utterance, make_table
from jobs.identity import content_id
from jobs.optional_packages import ESPEAK
from jobs.progress import ProgressCallback, ignore_progress
from jobs.storage.atomic import atomic_path, write_text

ESPEAK_VERSION = 2
"""Raise it when the same settings give another tree: the corpus is then made anew."""

ACCENTS = (
    "en-us", "en-us-nyc", "en", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-gb-x-gbcwmd",
    "en-029",
)  # fmt: skip

# Of the library's variants those that sound like a person: no whisper, echo chamber, robot or
# chipmunk. Variants of one family (iven, iven2, …) lie in the same half, which makes the halves
# disjoint to the ear too.
VARIANTS = {
    "probe": (
        "Alex", "Andrea", "Andy", "anika", "Denis", "aunty", "Gene", "belinda", "Gene2", "f1",
        "Jacky", "f3", "Mario", "f5", "Michael", "grandma", "Nguyen", "linda", "antonio", "ed",
        "gustave", "john", "m1", "m3", "m5", "m7", "max", "norbert", "paul", "quincy", "sandro",
    ),
    "pretrain": (
        "Diogo", "Alicia", "Henrique", "Annie", "Hugo", "f2", "Lee", "f4", "boris", "shelby", "ian",
        "steph", "iven", "steph2", "iven2", "steph3", "iven3", "iven4", "kaukovalta", "m2", "m4",
        "m6", "m8", "marcelo", "michel", "miguel", "pablo", "pedro", "rob", "robert", "travis",
        "victor", "grandpa",
    ),
}  # fmt: skip

FEMALE = {
    "Alicia", "Andrea", "Annie", "anika", "aunty", "belinda", "f1", "f2", "f3", "f4", "f5",
    "grandma", "linda", "shelby", "steph", "steph2", "steph3",
}  # fmt: skip
"""Variants with ``gender female`` in the library's own files, and shelby, which has no gender there
and the pitch of a woman; the others are male there, or have men's names and men's pitch."""

_FIRST_SPEAKER = {"probe": 1001, "pretrain": 5001}
_MEAN_RATE = 130.0  # words per minute
_SLOWEST = 90.0
_RATE_SD_BETWEEN, _RATE_SD_WITHIN = 0.13, 0.14  # of the logarithm of the rate
_LETTERS_PER_SECOND = 0.098  # of one word per minute; a first guess, then measured
_SECONDS, _SECONDS_OFF = (2.3, 4.7), 0.3
_ATTEMPTS = 12  # then the nearest is taken; one or two are the rule
_PEAK = 0.5 * 32_767


@dataclass(frozen=True)
class Voice:
    """One synthetic speaker."""

    speaker_id: str
    part: str
    accent: str
    variant: str
    pitch: int
    """0 to 99, 50 is the variant's own."""
    words_per_minute: float
    """Mean over the voice's utterances."""

    @property
    def name(self) -> str:
        """What the library calls it."""
        return f"{self.accent}+{self.variant}"

    @property
    def sex(self) -> str:
        """``F`` or ``M``: whose voice it imitates."""
        return "F" if self.variant in FEMALE else "M"


def make_voices(settings: EspeakSettings) -> list[Voice]:
    """The voices of every part, each pair of accent and variant at most once.

    Raises:
        ValueError: more voices than there are pairs.
    """
    variants = VARIANTS[settings.voices]
    wanted = sum(settings.speakers.values())
    if wanted > len(variants) * len(ACCENTS):
        raise ValueError(
            f"expected at most {len(variants) * len(ACCENTS)} voices in all parts together, "
            f"found {wanted}; ask for fewer in speakers"
        )
    rng = np.random.default_rng([settings.seed, _FIRST_SPEAKER[settings.voices]])
    # Every variant once before any comes again, and then with another accent.
    order, accents = rng.permutation(len(variants)), rng.permutation(len(ACCENTS))
    voices: list[Voice] = []
    for part, count in sorted(settings.speakers.items()):
        rates = _MEAN_RATE * np.exp(_RATE_SD_BETWEEN * _spread(rng, count))
        pitches = np.clip(np.rint(50 + 15 * _spread(rng, count)), 10, 90)
        for rate, pitch in zip(rates, pitches, strict=True):
            turn, position = divmod(len(voices), len(variants))
            voices.append(
                Voice(
                    speaker_id=str(_FIRST_SPEAKER[settings.voices] + len(voices)),
                    part=part,
                    accent=ACCENTS[accents[(turn + position) % len(ACCENTS)]],
                    variant=variants[order[position]],
                    pitch=int(pitch),
                    words_per_minute=float(rate),
                )
            )
    return voices


def outline(settings: EspeakSettings) -> pd.DataFrame:
    """The parts and speakers of the corpus before a word is spoken: a row a voice, no audio.

    Raises:
        ValueError: more voices than there are.
        CorpusError: espeakng-loader is not installed.
    """
    _require_library()
    voices = make_voices(settings)
    table = make_table(
        Utterance(
            utterance_id=voice.speaker_id,
            audio_path="",
            text="A",
            speaker_id=voice.speaker_id,
            chapter_id="",
            split=voice.part,
            seconds=1.0,
            n_samples=SAMPLE_RATE,
            audio_digest="",
        )
        for voice in voices
    )
    return table.assign(sex=table["speaker_id"].map({v.speaker_id: v.sex for v in voices}))


def _require_library() -> None:
    missing = ESPEAK.missing()
    if missing is not None:
        raise CorpusError(f"kind: espeak: {missing}")


def make_espeak_corpus(
    settings: EspeakSettings, cache: Path, tell: ProgressCallback = ignore_progress
) -> LibriSpeechSettings:
    """Write the corpus under ``cache/corpora``, unless it is there, and say how to read it.

    Every file is whole or absent and always the same, so that an interrupted run, or two at once,
    end with the same tree; the marker ``COMPLETE`` comes last.

    Raises:
        ValueError: more voices than there are.
        CorpusError: espeakng-loader is not installed.
        RuntimeError: the library cannot speak.
    """
    _require_library()
    voices = make_voices(settings)
    made_with = {"espeakng-loader": ESPEAK.version, "version": ESPEAK_VERSION}
    root = cache / "corpora" / f"espeak-{content_id([settings.identity(), made_with])}"
    marker = root / "COMPLETE"
    if not marker.exists():
        minutes = []
        with open_espeak(settings.seed) as espeak:
            for voice in with_progress(voices, "speaking for voices", len(voices), tell):
                minutes.append(_write_chapter(root, espeak, voice, settings))
        write_text(root / SPEAKERS, _speakers_text(voices, minutes))
        write_text(root / "README.txt", _README)
        write_text(marker, f"{len(voices) * settings.utterances_per_speaker} utterances\n")
    return LibriSpeechSettings(root=root, splits={part: part for part in settings.speakers})


def _write_chapter(root: Path, espeak: Espeak, voice: Voice, settings: EspeakSettings) -> float:
    """All utterances of a voice, in one chapter: FLAC files and their transcripts; the minutes."""
    chapter = str(100_000 + int(voice.speaker_id))
    folder = root / voice.part / voice.speaker_id / chapter
    rng = np.random.default_rng([settings.seed, int(voice.speaker_id)])
    spread = _spread(rng, settings.utterances_per_speaker)
    lines = []
    n_samples = 0
    for number, z in enumerate(spread):
        name = f"{voice.speaker_id}-{chapter}-{number:04d}"
        rate = max(_SLOWEST, voice.words_per_minute * float(np.exp(_RATE_SD_WITHIN * z)))
        text, wave = _utterance(rng, espeak, voice, rate)
        # To a path: an interrupt while libsndfile writes to a buffer of Python's would be lost.
        with atomic_path(folder / f"{name}.flac") as path:
            soundfile.write(path, wave, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
        lines.append(f"{name} {text}\n")
        n_samples += len(wave)
    write_text(folder / f"{voice.speaker_id}-{chapter}.trans.txt", "".join(lines))
    return n_samples / SAMPLE_RATE / 60


def _utterance(
    rng: np.random.Generator, espeak: Espeak, voice: Voice, words_per_minute: float
) -> tuple[str, npt.NDArray[np.int16]]:
    """A sentence and its (N,) samples at 16 kHz, 2 to 5 seconds long.

    The length in seconds is drawn without regard to the rate, and the sentence is chosen to fit:
    otherwise the duration of an utterance would tell how fast it is spoken.
    """
    wanted = rng.uniform(*_SECONDS)
    letters_per_second = _LETTERS_PER_SECOND * words_per_minute
    nearest: tuple[str, npt.NDArray[np.int16]] | None = None
    nearest_off = np.inf
    for _ in range(_ATTEMPTS):
        text = sentence(rng, round(wanted * letters_per_second))
        spoken = espeak.say(text, voice.name, voice.pitch, words_per_minute)
        seconds = len(spoken) / espeak.sample_rate
        if abs(seconds - wanted) < nearest_off:
            nearest, nearest_off = (text, spoken), abs(seconds - wanted)
        if nearest_off <= _SECONDS_OFF:
            break
        letters_per_second = count_letters(text) / seconds
    assert nearest is not None
    return nearest[0], _to_16_khz(nearest[1], espeak.sample_rate)


def _to_16_khz(spoken: npt.NDArray[np.int16], sample_rate: int) -> npt.NDArray[np.int16]:
    """Resample, and bring the peak of every utterance to the same level: no voice is louder."""
    wave = resample_poly(spoken.astype(np.float64), SAMPLE_RATE, sample_rate)
    scaled: npt.NDArray[np.int16] = np.rint(wave * (_PEAK / np.abs(wave).max())).astype(np.int16)
    return scaled


def _spread(rng: np.random.Generator, count: int) -> npt.NDArray[np.float64]:
    """``count`` values spread as a standard normal distribution, at its quantiles, shuffled.

    Few random draws might miss the spread that is wanted; quantiles cannot.
    """
    normal = NormalDist()
    quantiles = np.array([normal.inv_cdf((rank + 0.5) / count) for rank in range(count)])
    return rng.permutation(quantiles)


def _speakers_text(voices: list[Voice], minutes: list[float]) -> str:
    """In LibriSpeech's format."""
    head = "; Synthetic speakers\n; ID | SEX | SUBSET | MINUTES | NAME\n"
    return head + "".join(
        f"{v.speaker_id} | {v.sex} | {v.part} | {spoken:.2f} | espeak-ng {v.name}, pitch {v.pitch},"
        f" {v.words_per_minute:.1f} words a minute\n"
        for v, spoken in zip(voices, minutes, strict=True)
    )


_README = """\
Synthetic speech. Nobody spoke these sentences.

A program (espeak-ng, a formant synthesiser) made every file here, from sentences of a random
grammar, to show and to test software that reads the LibriSpeech layout. The voices, their
speaking rates and the spread of those rates were chosen by that program. Nothing measured on
this corpus says anything about human speech.
"""
