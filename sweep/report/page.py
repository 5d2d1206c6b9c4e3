"""``report.html``: the whole report in one file that loads nothing else, not even with a network.

The structure is in ``templates/``; this module hands the sections and the data to them. What the
script draws comes from one block of JSON; it puts text into the page as text, never as HTML.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from sweep.report.page_data.tables import table_data
from sweep.report.section import Content, Section
from sweep.report.tables.markup import LATEX, Table

_MIME = {".png": "image/png", ".svg": "image/svg+xml"}
STYLES = ("page.css", "chart.css")
SCRIPTS = (
    "dom.js", "data.js", "scales.js", "tables.js", "copy.js", "tabs.js", "chart.js", "marks.js",
    "pointer.js", "details.js", "panels.js", "heatmap.js", "start.js",
)  # fmt: skip
"""Files of the page's one script, in the order in which they need each other."""

Rendered = Sequence[tuple[Section, Content]]


@dataclass(frozen=True)
class Tab:
    """A tab of the page with its sections."""

    name: str
    sections: Rendered

    @property
    def anchor(self) -> str:
        """Name of its panel, to which links lead."""
        return f"tab-{self.sections[0][0].anchor}"


def render_page(
    name: str,
    sections: Rendered,
    data: Mapping[str, Any] | None = None,
    files: Sequence[tuple[str, str]] = (),
) -> str:
    """Render the page of the run ``name``.

    Args:
        name: name of the run.
        sections: the sections, in order.
        data: what the script draws, see `sweep.report.page_data`; None: no chart.
        files: names and addresses of the run's files, relative to the page.

    Raises:
        ValueError: a figure is neither PNG nor SVG.
    """
    loader = PackageLoader("sweep.report")
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    tables: list[dict[str, Any]] = []

    def keep_table(table: Table) -> int:
        """Number of the table in the page's data."""
        tables.append(table_data(table))
        return len(tables) - 1

    environment.filters["data_url"] = _data_url
    environment.filters["kept"] = keep_table
    shown = [(section, content) for section, content in sections if content.is_shown]
    style, script = (
        "".join(loader.get_source(environment, file)[0] for file in names)
        for names in (STYLES, SCRIPTS)
    )
    # The body comes first, as it collects the tables that the data block then holds.
    body = environment.get_template("body.html.j2").render(
        name=name,
        top=[content for section, content in shown if section.place == "top"],
        reading=[(s, content) for s, content in shown if s.place == "reading"],
        tabs=_tabs([(s, content) for s, content in shown if s.place == "tab"]),
        facts=data["facts"] if data else None,
        has_chart=bool(data and data["chart"]["curves"]),
        files=files,
    )
    everything = {"name": name, "tables": tables, "latex": LATEX, **(data or {})}
    return environment.get_template("page.html.j2").render(
        name=name, body=body, style=style, script=script, data=_as_json(everything),
        policy=_policy(style, script),
    )  # fmt: skip


def _tabs(sections: Rendered) -> list[Tab]:
    """Group the sections by tab, in the order of the first section of each."""
    groups: dict[str, list[tuple[Section, Content]]] = {}
    for section, content in sections:
        groups.setdefault(section.tab_name, []).append((section, content))
    return [Tab(name, group) for name, group in groups.items()]


def _as_json(data: object) -> str:
    """JSON that can stand in a script element: nothing in it can end the element."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _policy(style: str, script: str) -> str:
    """The content security policy: nothing is loaded, and no style or script but the page's own."""
    return (
        f"default-src 'none'; img-src data:; style-src '{_digest(style)}'; "
        f"script-src '{_digest(script)}'; base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _data_url(path: Path) -> str:
    if path.suffix not in _MIME:
        raise ValueError(f"{path}: expected a .png or .svg file to embed, found {path.suffix!r}")
    data = base64.b64encode(path.read_bytes()).decode()
    return f"data:{_MIME[path.suffix]};base64,{data}"
