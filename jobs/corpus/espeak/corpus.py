"""A synthetic corpus in LibriSpeech's layout, spoken by the espeak-ng library.

It is meant for demonstrations and tests without a real corpus; its README says that the speech is
synthetic. A voice combines an English accent, a voice variant, a length of the vocal tract, a mean
pitch and a mean speaking rate; pitch and rate of its utterances scatter around their means.
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import pandas as pd
import soundfile
from scipy.signal import firwin, resample_poly

from jobs.arrays import FloatArray
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

ESPEAK_VERSION = 3
"""To be raised when the same settings give other files: the corpus is then made again."""

ACCENTS = (
    "en-us", "en-us-nyc", "en", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-gb-x-gbcwmd",
    "en-029",
)  # fmt: skip

# Only variants of the library that sound like a person: no whisper, echo chamber, robot or
# chipmunk. Variants of one family (iven, iven2, …) are in the same half, so that no voice of one
# half resembles a voice of the other.
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
but a female pitch; the others are male there, or have male names and a male pitch."""

_FIRST_SPEAKER = {"probe": 1001, "pretrain": 5001}
_MEAN_RATE = 130.0  # words per minute
_SLOWEST = 90.0
_RATE_SD_BETWEEN, _RATE_SD_WITHIN = 0.13, 0.14  # of the logarithm of the rate
_PITCH, _PITCH_SD_BETWEEN, _PITCH_SD_WITHIN = 50, 15, 6  # 100 steps are about two octaves
_TRACT_STEPS = 40
_TRACT_SD = 2.5 / _TRACT_STEPS
"""Adults' vocal tracts differ by about as much as this, beyond the difference of the sexes, which
the variants have."""
_LETTERS_PER_SECOND = 0.098  # per word per minute; a first guess, then measured
_SECONDS, _SECONDS_OFF = (2.3, 4.7), 0.3
_ATTEMPTS = 12  # then the nearest is taken; usually one or two are enough
_PEAK = 0.5 * 32_767


@dataclass(frozen=True)
class Voice:
    """One synthetic speaker."""

    speaker_id: str
    split: str
    accent: str
    variant: str
    pitch: int
    """Mean over the voice's utterances, 0 to 99; 50 is the variant's default."""
    formants: Fraction
    """Factor on the frequencies of the variant's formants and on its pitch: the shorter the vocal
    tract, the higher."""
    words_per_minute: float
    """Mean over the voice's utterances."""

    @property
    def name(self) -> str:
        """Name of the voice in the library."""
        return f"{self.accent}+{self.variant}"

    @property
    def sex(self) -> str:
        """``F`` or ``M``: sex of the speaker that it imitates."""
        return "F" if self.variant in FEMALE else "M"


def make_voices(settings: EspeakSettings) -> list[Voice]:
    """Draw the voices of every split, each pair of accent and variant at most once.

    Raises:
        ValueError: more voices are requested than there are pairs.
    """
    variants = VARIANTS[settings.voices]
    wanted = sum(settings.speakers.values())
    if wanted > len(variants) * len(ACCENTS):
        raise ValueError(
            f"expected at most {len(variants) * len(ACCENTS)} voices in all splits together, "
            f"found {wanted}; lower the numbers in speakers"
        )
    rng = np.random.default_rng([settings.seed, _FIRST_SPEAKER[settings.voices]])
    # Use every variant once before any is reused, and then with another accent.
    order, accents = rng.permutation(len(variants)), rng.permutation(len(ACCENTS))
    voices: list[Voice] = []
    for split, count in sorted(settings.speakers.items()):
        rates = _MEAN_RATE * np.exp(_RATE_SD_BETWEEN * _spread(rng, count))
        pitches = np.clip(np.rint(_PITCH + _PITCH_SD_BETWEEN * _spread(rng, count)), 20, 80)
        formants = np.rint(_TRACT_STEPS * np.exp(_TRACT_SD * _spread(rng, count)))
        for rate, pitch, formant in zip(rates, pitches, formants, strict=True):
            turn, position = divmod(len(voices), len(variants))
            voices.append(
                Voice(
                    speaker_id=str(_FIRST_SPEAKER[settings.voices] + len(voices)),
                    split=split,
                    accent=ACCENTS[accents[(turn + position) % len(ACCENTS)]],
                    variant=variants[order[position]],
                    pitch=int(pitch),
                    formants=Fraction(int(formant), _TRACT_STEPS),
                    words_per_minute=float(rate),
                )
            )
    return voices


def outline(settings: EspeakSettings) -> pd.DataFrame:
    """Make a table of the splits and speakers before any audio: one row per voice.

    Raises:
        ValueError: more voices are requested than there are.
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
            split=voice.split,
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
    settings: EspeakSettings, cache: Path, progress: ProgressCallback = ignore_progress
) -> LibriSpeechSettings:
    """Write the corpus under ``cache/corpora``, unless it exists, and return its settings.

    Every file is written atomically and always has the same content, so that interrupted or
    concurrent runs end with the same files; the marker ``COMPLETE`` is written last.

    Raises:
        ValueError: more voices are requested than there are.
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
            for voice in with_progress(voices, "speaking for voices", len(voices), progress):
                minutes.append(_write_chapter(root, espeak, voice, settings))
        write_text(root / SPEAKERS, _speakers_text(voices, minutes))
        write_text(root / "README.txt", _README)
        write_text(marker, f"{len(voices) * settings.utterances_per_speaker} utterances\n")
    return LibriSpeechSettings(root=root, splits={split: split for split in settings.speakers})


def _write_chapter(root: Path, espeak: Espeak, voice: Voice, settings: EspeakSettings) -> float:
    """Write all utterances of a voice as one chapter of FLAC files and transcripts.

    Returns:
        The duration of the chapter in minutes.
    """
    chapter = str(100_000 + int(voice.speaker_id))
    folder = root / voice.split / voice.speaker_id / chapter
    rng = np.random.default_rng([settings.seed, int(voice.speaker_id)])
    count = settings.utterances_per_speaker
    rates = voice.words_per_minute * np.exp(_RATE_SD_WITHIN * _spread(rng, count))
    pitches = np.clip(np.rint(voice.pitch + _PITCH_SD_WITHIN * _spread(rng, count)), 0, 99)
    lines = []
    n_samples = 0
    for number, (rate, pitch) in enumerate(zip(rates, pitches, strict=True)):
        name = f"{voice.speaker_id}-{chapter}-{number:04d}"
        text, wave = _utterance(rng, espeak, voice, max(_SLOWEST, float(rate)), int(pitch))
        # Write to a path: an interrupt while libsndfile writes to a Python buffer would be lost.
        with atomic_path(folder / f"{name}.flac") as path:
            soundfile.write(path, wave, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
        lines.append(f"{name} {text}\n")
        n_samples += len(wave)
    write_text(folder / f"{voice.speaker_id}-{chapter}.trans.txt", "".join(lines))
    return n_samples / SAMPLE_RATE / 60


def _utterance(
    rng: np.random.Generator, espeak: Espeak, voice: Voice, words_per_minute: float, pitch: int
) -> tuple[str, npt.NDArray[np.int16]]:
    """Make a sentence and its (N,) samples at 16 kHz, 2 to 5 seconds long.

    The duration is drawn independently of the rate, and the sentence is chosen to fit: otherwise
    the duration of an utterance would reveal its rate.
    """
    wanted = rng.uniform(*_SECONDS)
    # Played faster, all formants and the pitch are higher, as from a shorter vocal tract; spoken
    # more slowly by as much, the rate is as wanted.
    sample_rate = espeak.sample_rate * voice.formants
    spoken_rate = max(_SLOWEST, words_per_minute / float(voice.formants))
    letters_per_second = _LETTERS_PER_SECOND * words_per_minute
    nearest: tuple[str, npt.NDArray[np.int16]] | None = None
    nearest_off = np.inf
    for _ in range(_ATTEMPTS):
        text = sentence(rng, round(wanted * letters_per_second))
        spoken = espeak.say(text, voice.name, pitch, spoken_rate)
        seconds = len(spoken) / float(sample_rate)
        if abs(seconds - wanted) < nearest_off:
            nearest, nearest_off = (text, spoken), abs(seconds - wanted)
        if nearest_off <= _SECONDS_OFF:
            break
        letters_per_second = count_letters(text) / seconds
    assert nearest is not None
    return nearest[0], _to_16_khz(nearest[1], sample_rate)


def _to_16_khz(spoken: npt.NDArray[np.int16], sample_rate: Fraction) -> npt.NDArray[np.int16]:
    """Resample, and normalise the peak of the utterance, so that no voice is louder."""
    ratio = SAMPLE_RATE / sample_rate
    window = _low_pass(max(ratio.numerator, ratio.denominator))
    wave = resample_poly(
        spoken.astype(np.float64), ratio.numerator, ratio.denominator, window=window
    )
    scaled: npt.NDArray[np.int16] = np.rint(wave * (_PEAK / np.abs(wave).max())).astype(np.int16)
    return scaled


@lru_cache(maxsize=4)
def _low_pass(factor: int) -> FloatArray:
    """Design the filter that `resample_poly` designs in every call, for the larger factor."""
    filter_: FloatArray = firwin(20 * factor + 1, 1 / factor, window=("kaiser", 5.0))
    return filter_


def _spread(rng: np.random.Generator, count: int) -> npt.NDArray[np.float64]:
    """Return ``count`` quantiles of the standard normal distribution, shuffled.

    A few random draws might not have the intended spread; quantiles always do.
    """
    normal = NormalDist()
    quantiles = np.array([normal.inv_cdf((rank + 0.5) / count) for rank in range(count)])
    return rng.permutation(quantiles)


def _speakers_text(voices: list[Voice], minutes: list[float]) -> str:
    """Describe the speakers in LibriSpeech's format."""
    head = "; Synthetic speakers\n; ID | SEX | SUBSET | MINUTES | NAME\n"
    return head + "".join(
        f"{v.speaker_id} | {v.sex} | {v.split} | {spoken:.2f} | espeak-ng {v.name}, pitch "
        f"{v.pitch}, formants × {float(v.formants):.3f}, {v.words_per_minute:.1f} words a minute\n"
        for v, spoken in zip(voices, minutes, strict=True)
    )


_README = """\
Synthetic speech. Nobody spoke these sentences.

A program (espeak-ng, a formant synthesiser) made every file here, from sentences of a random
grammar, to show and to test software that reads the LibriSpeech layout. The voices, their
speaking rates and the spread of those rates were chosen by that program. Nothing measured on
this corpus says anything about human speech.
"""
