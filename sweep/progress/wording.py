"""Durations, rates and text from outside, as they are printed."""

from rich.cells import cell_len, set_cell_size


def rate_text(rate: float | None) -> str:
    """Units a second, or a minute where that reads better: ``3.1/s``, ``120/s``, ``4.0/min``."""
    if rate is None:
        return ""
    if rate < 0.5:
        return f"{rate * 60:.1f}/min"
    return f"{rate:.1f}/s" if rate < 100 else f"{rate:.0f}/s"


def clock(seconds: float) -> str:
    """A duration as ``0:09``, ``12:34`` or ``1:02:03``."""
    minutes, rest = divmod(round(max(seconds, 0.0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def printable(text: str) -> str:
    """``text`` on one line, without what could move the cursor or change the terminal."""
    return "".join(c if c.isprintable() else " " for c in text)


def shortened(text: str, width: int | None, end: str = "") -> str:
    """``text`` and ``end`` in at most ``width`` columns, the end of ``text`` left out for ``…``."""
    if width is None or cell_len(text + end) <= width:
        return text + end
    room = width - cell_len(end) - 1
    if room < width // 3:  # an end that leaves no room is cut as well
        return set_cell_size(text + end, max(width - 1, 0)).rstrip() + "…"
    return f"{set_cell_size(text, room).rstrip()}…{end}"


def fit(text: str, width: int) -> str:
    """``text`` in exactly ``width`` columns, with ``…`` where it is cut."""
    return set_cell_size(shortened(text, max(width, 0)), max(width, 0))
