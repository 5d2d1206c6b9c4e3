"""Style and output of figures: reproducible bytes, without pyplot."""

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import matplotlib.style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.ft2font import LoadFlags

from jobs.storage.atomic import write_bytes
from sweep.report.tables.markup import one_line

WIDTH = 7.2
"""Width in inches: the double column of most journals."""
NARROW = 3.3
"""Width in inches of the version for a single column."""
NARROW_FOLDER = "single-column"
"""Folder beside the wide figures with the narrow ones."""
PAGE = 9.6
"""Height in inches of a page; a narrow figure that would be higher is left out."""
FORMATS: dict[str, dict[str, None]] = {
    "png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None},
}  # fmt: skip
"""Metadata by format without what would differ from run to run."""
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
"""Okabe and Ito's palette, without yellow (too light on white) and black (the mean predictor)."""
TEXT = 7
SMALL = 7
"""Sizes in points; nothing is smaller than journals allow in print."""
_FONT = "DejaVu Sans"
"""Font that comes with matplotlib, hence the same on every machine."""
_STYLE = {
    "font.family": _FONT,
    "font.size": TEXT,
    "axes.titlesize": 8,
    "axes.labelsize": TEXT,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "legend.handlelength": 2.4,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.3,
    "text.parse_math": False,  # show a dollar sign in a name literally
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "svg.hashsalt": "sweep",
    "savefig.dpi": 300,
}


@contextmanager
def figure_style() -> Iterator[None]:
    """Apply this style while the block runs, regardless of a user's matplotlibrc."""
    with matplotlib.style.context(["default", _STYLE]), warnings.catch_warnings():
        # names may be in scripts that the font lacks; the tables and the SVG have them in full
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """Make an empty figure, ``width`` by ``height`` inches."""
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, folder: Path, name: str) -> Path:
    """Write ``name`` as PNG (300 dpi), SVG and PDF (text as text); returns the PNG's path."""
    for kind, metadata in FORMATS.items():
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, metadata=metadata)
        write_bytes(folder / f"{name}.{kind}", buffer.getvalue())
    return folder / f"{name}.png"


def save_both(draw: Callable[[float], Figure], folder: Path, name: str) -> Path:
    """Write what ``draw`` makes of a width in two widths, the narrow one in ``NARROW_FOLDER``.

    Returns:
        The path of the wide PNG.
    """
    narrow = draw(NARROW)
    if narrow.get_figheight() <= PAGE:
        save(narrow, folder / NARROW_FOLDER, name)
    else:
        for kind in FORMATS:
            (folder / NARROW_FOLDER / f"{name}.{kind}").unlink(missing_ok=True)
    return save(draw(WIDTH), folder, name)


def short(name: str, length: int) -> str:
    """Shorten ``name`` to one line of at most ``length`` characters, cut in the middle."""
    name = one_line(name)
    if len(name) <= length:
        return name
    tail = (length - 1) // 2
    return f"{name[: length - 1 - tail]}…{name[-tail:]}"


@cache
def text_width(text: str, size: float) -> float:
    """Width in inches of ``text`` at ``size`` points; call it within ``figure_style``."""
    font = get_font(findfont(_FONT))
    font.set_size(size, 72)
    font.set_text(text, flags=LoadFlags.NO_HINTING)
    return font.get_width_height()[0] / 64 / 72


def signed(number: str) -> str:
    """Format ``number`` with a minus sign instead of a hyphen, as on the axes."""
    return number.replace("-", "−")
