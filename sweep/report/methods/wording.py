"""Words and lists as running text needs them."""

from sweep.report.tables.markup import escape_markdown

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def number_word(number: int) -> str:
    """``number`` spelled out up to ten, in digits beyond."""
    return _NUMBERS[number] if number < len(_NUMBERS) else str(number)


def capitalised(text: str) -> str:
    """``text`` with an upper-case first letter, the rest unchanged."""
    return text[:1].upper() + text[1:]


def plain(name: object) -> str:
    """A name from outside, escaped so that Markdown shows it as it is."""
    return escape_markdown(str(name))
