"""A small grammar of everyday English, which makes the sentences of the synthetic corpus."""

import numpy as np

DETERMINERS = ("THE", "THIS", "THAT", "EVERY", "ONE", "MY", "OUR", "HER", "HIS", "YOUR")
ADJECTIVES = (
    "OLD", "YOUNG", "QUIET", "BRAVE", "TIRED", "CLEVER", "GENTLE", "HUNGRY", "CAREFUL", "CHEERFUL",
    "TALL", "SMALL", "LUCKY", "PATIENT", "FAMOUS", "CURIOUS", "HONEST", "LONELY",
)  # fmt: skip
PEOPLE = (
    "SAILOR", "TEACHER", "FARMER", "DOCTOR", "PAINTER", "CAPTAIN", "BAKER", "GARDENER", "PILOT",
    "SINGER", "NEIGHBOUR", "DRIVER", "WRITER", "HUNTER", "CARPENTER", "SISTER", "UNCLE", "STRANGER",
    "BOY", "GIRL", "KING", "COOK", "NURSE", "AUNT",
)  # fmt: skip
VERBS = (
    "CARRIED", "FOUND", "LOST", "PAINTED", "SOLD", "MENDED", "WATCHED", "CLEANED", "OPENED", "HID",
    "REMEMBERED", "BOUGHT", "PUSHED", "LIFTED", "FORGOT", "BORROWED", "DROPPED", "WANTED",
    "SAW", "TOOK", "KEPT", "MADE", "GAVE US", "HELD",
)  # fmt: skip
THINGS = (
    "BASKET", "LANTERN", "LETTER", "WAGON", "BLANKET", "WINDOW", "KETTLE", "MIRROR", "BICYCLE",
    "CUP", "HAMMER", "PICTURE", "SUITCASE", "CANDLE", "TELESCOPE", "BOAT", "UMBRELLA", "CLOCK",
    "HAT", "KEY", "BAG", "BALL", "COIN", "MAP",
)  # fmt: skip
PLACES = (
    "NEAR THE HARBOUR", "BEHIND THE BARN", "ON THE HILL", "IN THE KITCHEN", "ACROSS THE RIVER",
    "BESIDE THE ROAD", "UNDER THE BRIDGE", "AT THE MARKET", "IN A COLD CELLAR", "BY THE SEA",
    "OUTSIDE THE LIBRARY", "FAR FROM HOME",
)  # fmt: skip
TIMES = (
    "TODAY", "AGAIN", "BEFORE BREAKFAST", "LATE AT NIGHT", "IN SPRING", "AFTER THE STORM",
    "LAST YEAR", "TWICE", "ON SUNDAY MORNING", "WITHOUT A WORD",
)  # fmt: skip
CONJUNCTIONS = ("AND", "BUT", "WHILE", "BECAUSE")
_CANDIDATES = 12


def sentence(rng: np.random.Generator, letters: int) -> str:
    """Make a sentence of about ``letters`` letters: the nearest in length of a few random ones.

    Returns:
        Upper-case words separated by one space, without punctuation, as LibriSpeech writes them.
    """
    candidates = [_sentence(rng, letters) for _ in range(_CANDIDATES)]
    return min(candidates, key=lambda text: abs(count_letters(text) - letters))


def count_letters(text: str) -> int:
    """Count the characters of ``text`` that are not spaces."""
    return len(text.replace(" ", ""))


def _sentence(rng: np.random.Generator, letters: int) -> str:
    """Join clauses, some with a place or a time, until the next would make it too long."""
    text = _clause(rng)
    while True:
        more = [_pick(rng, PLACES)] * int(rng.integers(2)) + [_pick(rng, TIMES)] * int(
            rng.integers(2)
        )
        for phrase in (*more, f"{_pick(rng, CONJUNCTIONS)} {_clause(rng)}"):
            longer = f"{text} {phrase}"
            if abs(count_letters(longer) - letters) >= abs(count_letters(text) - letters):
                return text
            text = longer


def _clause(rng: np.random.Generator) -> str:
    adjective = f"{_pick(rng, ADJECTIVES)} " * int(rng.integers(2))
    subject = f"{_pick(rng, DETERMINERS)} {adjective}{_pick(rng, PEOPLE)}"
    return f"{subject} {_pick(rng, VERBS)} THE {_pick(rng, THINGS)}"


def _pick(rng: np.random.Generator, words: tuple[str, ...]) -> str:
    return words[int(rng.integers(len(words)))]
