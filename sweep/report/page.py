"""``report.html``: the whole report in one file that loads nothing else, not even with a network.

The structure is in ``templates/``; this module hands the sections to them.
"""

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from sweep.report.section import Content, Section

_MIME = {".png": "image/png", ".svg": "image/svg+xml"}


def render_page(name: str, sections: Sequence[tuple[Section, Content]]) -> str:
    """Render the page of the run ``name``, with links to its sections.

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
    environment.filters["data_url"] = _data_url
    style, script = (loader.get_source(environment, file)[0] for file in ("page.css", "page.js"))
    return environment.get_template("page.html.j2").render(
        name=name, sections=sections, style=style, script=script, policy=_policy(script)
    )


def _policy(script: str) -> str:
    """The content security policy: nothing is loaded, and no script runs but the page's own."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'"
    )


def _data_url(path: Path) -> str:
    if path.suffix not in _MIME:
        raise ValueError(f"{path}: expected a .png or .svg file to embed, found {path.suffix!r}")
    data = base64.b64encode(path.read_bytes()).decode()
    return f"data:{_MIME[path.suffix]};base64,{data}"
