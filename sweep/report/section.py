"""A section of the report: an anchor, a heading, and a function from a run to its content."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sweep.report.tables.markup import Table
from sweep.results.run import Run

Drawing = Literal["heatmap", "errors"]
Place = Literal["top", "reading", "tab"]


@dataclass(frozen=True)
class Document:
    """A text to read and to copy as a whole."""

    title: str
    text: str
    prose: bool = False
    """True for sentences, False for code."""
    folded: bool = False
    """True if it is only shown on demand."""


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
    documents: Sequence[Document] = ()
    figures: Sequence[Path] = ()
    """PNG or SVG files to embed."""
    files: Sequence[Path] = ()
    """Figures that are not embedded, because the page's script draws the same."""
    drawing: Drawing | None = None
    """What the page's script draws in the section, from the page's data."""

    @property
    def is_shown(self) -> bool:
        """Whether there is anything to show."""
        return self != Content(files=self.files)


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
    place: Place = "tab"
    """Part of the page: above the chart, folded below it, or in a tab."""
    tab: str = ""
    """Name of its tab, which several sections can share; "": its heading."""

    @property
    def tab_name(self) -> str:
        """Name of the tab that the section is in."""
        return self.tab or self.heading


def as_svg(figures: Sequence[Path]) -> list[Path]:
    """The SVG beside each PNG: a tenth of its size, and sharp."""
    return [path.with_suffix(".svg") for path in figures]
