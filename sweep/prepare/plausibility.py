"""Remarks on utterances that are probably not what they should be, each a sentence for the user."""

import re
from collections.abc import Iterator

import numpy as np
import pandas as pd

from sweep.wording import counted

FASTEST, SLOWEST = 35.0, 0.5
"""Letters and digits per second of audio; people read 10 to 20."""
_LONG = 5.0
"""Seconds from which an utterance can be too slow: a shorter one may be a word amid silence."""
_FILE_SIZE = re.compile(r"^([0-9a-f]{32,}-\d+)-\d+")
"""The beginning of a digest, see ``jobs.corpus.audio_checks``: content, samples, bytes."""
_FEW = 10
"""Utterances from which equal durations, or one utterance a speaker, are no coincidence."""


def plausibility_notes(table: pd.DataFrame) -> Iterator[str]:
    """Report repeated audio, impossible rates of speech, equal durations, and lone utterances.

    Args:
        table: an utterance table.
    """
    if table.empty:
        return
    yield from _repeated_audio(table)
    yield from _rates(table)
    yield from _durations(table)
    yield from _speakers(table)


def _repeated_audio(table: pd.DataFrame) -> Iterator[str]:
    content = table["audio_digest"].map(_content)
    repeated = table[content.duplicated(keep=False)]
    across: list[pd.DataFrame] = []
    within: list[pd.DataFrame] = []
    for _, rows in repeated.groupby(content, sort=False):
        (across if rows["split"].nunique() > 1 else within).append(rows)
    if across:
        rows = across[0].drop_duplicates("split")
        yield (
            f"{counted(len(across), 'recording')} {'is' if len(across) == 1 else 'are'} in more "
            f"than one split under different ids: "
            f"{_names(rows)} have the same audio; remove all but one, since what is trained on "
            "must not be tested"
        )
    if within:
        more = sum(map(len, within)) - len(within)
        yield (
            f"{more} of {counted(len(table), 'utterance')} repeat the audio of another one in "
            f"their split: {_names(within[0])} have the same audio"
        )


def _content(digest: str) -> str:
    """Return a digest without the size of the file, in which copies may differ by their tags."""
    return _FILE_SIZE.sub(r"\1", digest)


def _names(rows: pd.DataFrame) -> str:
    first, second = (f"{row.utterance_id} ({row.split})" for row in rows.head(2).itertuples())
    return f"{first} and {second}"


def _rates(table: pd.DataFrame) -> Iterator[str]:
    letters = table["text"].map(lambda text: sum(map(str.isalnum, text))).to_numpy(dtype=np.float64)
    seconds = table["seconds"].to_numpy(dtype=np.float64)
    rates = letters / seconds
    fast = rates > FASTEST
    slow = (letters > 0) & (rates < SLOWEST) & (seconds >= _LONG)
    for wrong, extreme, meaning in (
        (fast, int(np.argmax(rates)), f"more than {FASTEST:g}"),
        (slow, int(np.argmin(np.where(slow, rates, np.inf))), f"fewer than {SLOWEST:g}"),
    ):
        if wrong.any():
            worst = table.iloc[extreme]
            yield (
                f"{int(wrong.sum())} of {counted(len(table), 'utterance')} have {meaning} letters "
                f"per second, which nobody speaks, such as {worst['utterance_id']} with "
                f"{letters[extreme]:.0f} in {seconds[extreme]:.2f} s: check that transcript and "
                "audio belong together and that the audio is complete"
            )


def _durations(table: pd.DataFrame) -> Iterator[str]:
    lengths = table["n_samples"].unique()
    if len(table) >= _FEW and len(lengths) == 1:
        yield (
            f"all utterances last {table['seconds'].iloc[0]:.3f} s: if they were cut or padded to "
            "that, rates per second are not those of the speech"
        )


def _speakers(table: pd.DataFrame) -> Iterator[str]:
    n_speakers = table["speaker_id"].nunique()
    if n_speakers == len(table) >= _FEW:
        yield (
            f"each of the {n_speakers} speakers has a single utterance: differences between "
            "utterances cannot be told from differences between speakers"
        )
