"""A section of the report: an anchor, a heading, and a function from a run to its content."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sweep.report.tables.markup import Table
from sweep.results.run import Run


@dataclass(frozen=True)
class Content:
    """Content of a section, shown in this order; text is escaped unless it is declared as HTML."""

    headlines: Sequence[str] = ()
    """Sentences, in large type."""
    findings: Sequence[str] = ()
    """Sentences, as a list."""
    introduction: str = ""
    """Introduction that explains the content, in HTML."""
    tables: Sequence[Table] = ()
    notes: Sequence[str] = ()
    """Footnotes of the tables."""
    terms: Sequence[tuple[str, str]] = ()
    """(term, explanation), the explanation in HTML."""
    records: Sequence[tuple[str, str]] = ()
    """(key, value), the value as preformatted text."""
    figures: Sequence[Path] = ()
    """PNG or SVG files to embed."""
    folded: str = ""
    """Text to click on to unfold the content; "": it is always shown."""


def drawn(introduction: str, figures: Sequence[Path], tables: Sequence[Table]) -> Content | None:
    """Return an introduction with PNG files, as SVG, and tables; None without figures."""
    if not figures:
        return None
    return Content(introduction=introduction, tables=tables, figures=as_svg(figures))


@dataclass(frozen=True)
class Section:
    """A section of ``report.html`` and the files that come with it."""

    anchor: str
    heading: str
    render: Callable[[Run], Content | None]
    """Writes the section's tables and figures into the run's folder, or removes old ones, and
    returns its content; None leaves it off the page."""
    methods: Callable[[Run], Iterator[str]] | None = None
    """Sentences for the methods text, if the section uses its own method."""


def as_svg(figures: Sequence[Path]) -> list[Path]:
    """The SVG beside each PNG: a tenth of its size, and sharp."""
    return [path.with_suffix(".svg") for path in figures]
