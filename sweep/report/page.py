"""``report.html``: the whole report in one file that needs nothing else, not even a network."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import pandas as pd

from jobs.storage.atomic import write_text
from sweep.report.sections.joint_cca import READING as JOINT
from sweep.report.sections.residuals import READING as RESIDUALS
from sweep.report.sections.similarity import READING as SIMILARITY
from sweep.report.sections.tempo import READING as TEMPO
from sweep.report.tables.cells import by_fold, by_kind
from sweep.report.tables.layer_tables import layers_notes, layers_tables
from sweep.report.tables.markup import Cell, Table
from sweep.report.tables.model_tables import models_notes, models_tables
from sweep.report.text.findings import READING as FINDINGS
from sweep.report.text.findings import READING_OF_FOLDS
from sweep.report.text.glossary import explanations

_MIME = {".png": "image/png", ".svg": "image/svg+xml"}

_STYLE = """
:root { color-scheme: light dark; --line: #d0d0d0; --soft: #f5f5f5; --text: #1b1b1b; --dim: #5c5c5c;
  --back: #ffffff; }
@media (prefers-color-scheme: dark) { :root { --line: #444; --soft: #262626; --text: #e6e6e6;
  --dim: #a5a5a5; --back: #181818; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--text); background: var(--back);
  max-width: 76rem; margin: 2rem auto; padding: 0 1.2rem; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; margin-bottom: .2rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
nav a { margin-right: 1rem; } .dim, figcaption { color: var(--dim); font-size: .85rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; overflow-wrap: normal; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid var(--line); text-align: left; }
th { background: var(--soft); vertical-align: bottom; }
th button { font: inherit; font-weight: 600; color: inherit; background: none; border: 0;
  padding: 0; cursor: pointer; text-align: inherit; }
th[aria-sort=ascending] button::after { content: " ↑"; }
th[aria-sort=descending] button::after { content: " ↓"; }
td { white-space: nowrap; } td:first-child { white-space: normal; min-width: 11rem; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
tbody tr:hover { background: var(--soft); }
dt { font-weight: 600; } dd { margin: 0 0 .5rem 1.2rem; }
figure { margin: 0 0 1.5rem; max-width: 62rem; }
img { width: 100%; background: #fff; border-radius: 4px; }
pre { white-space: pre-wrap; margin: 0; font-size: .8rem; }
@media print { body { max-width: none; margin: 0; font-size: 10pt; } nav { display: none; }
  figure, tr { break-inside: avoid; } .wide { overflow: visible; }
  th button::after { content: "" !important; } }
"""

_SCRIPT = """
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, column) => head.firstChild.addEventListener("click", () => {
    const up = head.getAttribute("aria-sort") !== "ascending";
    heads.forEach(other => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const key = row => row.cells[column].dataset.key ?? "";
    const order = (a, b) => isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b;
    const rows = [...body.rows].sort((a, b) => key(a) === "" || key(b) === ""
      ? (key(a) === "") - (key(b) === "") : order(key(a), key(b)) * (up ? 1 : -1));
    body.append(...rows);
  }));
}
"""


def write_page(
    path: Path,
    *,
    name: str,
    layers: pd.DataFrame,
    models: pd.DataFrame,
    notes: Sequence[str],
    provenance: Mapping[str, object],
    plots: Sequence[Path],
    similarity: Sequence[Path] = (),
    predictions: Sequence[Path] = (),
    tempo: tuple[Sequence[Path], Sequence[Table]] = ((), ()),
    canonical: tuple[Sequence[Path], Sequence[Table]] = ((), ()),
    said: tuple[Sequence[str], Sequence[Table]] = ((), ()),
    residuals: Sequence[Path] = (),
) -> None:
    """Write the report of the run ``name`` to ``path``.

    ``plots``, and ``similarity``, ``predictions`` and ``residuals`` in sections of their own, are
    SVG or PNG files and are embedded in the order given; so are those of ``tempo`` and of
    ``canonical``, below their tables; ``said`` are sentences and the tables that they rest on;
    ``notes`` are shown under the comparison table; ``provenance`` holds whatever JSON can hold.

    Raises:
        ValueError: a plot is neither PNG nor SVG.
    """
    all_layers = _tables(layers_tables(layers)) + _notes(list(layers_notes(layers)))
    comparison = _tables(models_tables(models)) + _notes([*models_notes(models), *notes])
    sections = (
        ("models", "Models", comparison),
        *([("findings", "What the numbers allow", _findings(*said, layers))] if said[0] else []),
        ("reading", "How to read this", _reading(layers)),
        ("plots", "Curves over layers", _plots(plots)),
        *([("predictions", "Predictions", _plots(predictions))] if predictions else []),
        *([("residuals", "Errors", _residuals(residuals))] if residuals else []),
        *([("canonical", "Targets together", _below(JOINT, *canonical))] if canonical[0] else []),
        *([("tempo", "At another tempo", _below(TEMPO, *tempo))] if tempo[0] else []),
        *([("similarity", "Layers against layers", _similarity(similarity))] if similarity else []),
        ("layers", "All layers", _folded("Table of all layers", all_layers)),
        ("provenance", "Provenance", _provenance(provenance)),
    )
    write_text(path, _document(name, sections))


def _document(name: str, sections: Sequence[tuple[str, str, str]]) -> str:
    """The page of (anchor, title, HTML) sections, with links to them."""
    links = "".join(f'<a href="#{anchor}">{title}</a>' for anchor, title, _ in sections)
    body = "".join(f'<h2 id="{anchor}">{title}</h2>\n{html}\n' for anchor, title, html in sections)
    title = escape(name)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_policy()}">
<title>{title}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{title}</h1>
<p class="dim">Layer-wise probing: what can be read from each layer, and how well.</p>
<nav>{links}</nav>
{body}<script>{_SCRIPT}</script>
</body>
</html>
"""


def _findings(sentences: Sequence[str], tables: Sequence[Table], layers: pd.DataFrame) -> str:
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    reading = READING_OF_FOLDS if by_fold(layers) else FINDINGS
    return f'<ul>{items}</ul><p class="dim">{reading}</p>{_tables(tables)}'


def _residuals(plots: Sequence[Path]) -> str:
    return f'<p class="dim">{RESIDUALS}</p>{_plots(plots)}'


def _policy() -> str:
    """Nothing is loaded from anywhere, and no script runs but the page's own."""
    digest = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
    return (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'"
    )


def _tables(tables: Sequence[Table]) -> str:
    return "\n".join(map(_table, tables))


def _table(table: Table) -> str:
    """A table whose columns are sorted by clicking on their titles."""
    classes = [' class="number"' if right else "" for right in table.numeric]
    heads = "".join(
        f'<th scope="col"{css}><button type="button">{escape(title)}</button></th>'
        for title, css in zip(table.header, classes, strict=True)
    )
    rows = "\n".join(f"<tr>{''.join(map(_cell, row, classes))}</tr>" for row in table.rows)
    return (
        f'<div class="wide"><table class="sortable"><thead><tr>{heads}</tr></thead>\n'
        f"<tbody>\n{rows}\n</tbody></table></div>"
    )


def _cell(cell: Cell, css: str) -> str:
    key = "" if cell.key is None else f' data-key="{escape(str(cell.key))}"'
    return f"<td{css}{key}>{escape(cell.text)}</td>"


def _notes(notes: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f'<ul class="dim">{items}</ul>' if items else ""


def _reading(layers: pd.DataFrame) -> str:
    kinds = {kind for kind, _ in by_kind(layers)}
    items = explanations(kinds, by_fold=by_fold(layers))
    return "<dl>" + "".join(f"<dt>{term}</dt><dd>{text}</dd>" for term, text in items) + "</dl>"


def _plots(plots: Sequence[Path]) -> str:
    return "".join(map(_figure, plots))


def _similarity(plots: Sequence[Path]) -> str:
    return f"<p>{SIMILARITY}</p>{_plots(plots)}"


def _below(text: str, plots: Sequence[Path], tables: Sequence[Table]) -> str:
    return f"<p>{text}</p>{_tables(tables)}{_plots(plots)}"


def _figure(path: Path) -> str:
    if path.suffix not in _MIME:
        raise ValueError(f"{path}: expected a .png or .svg file to embed, found {path.suffix!r}")
    data = base64.b64encode(path.read_bytes()).decode()
    name = escape(path.stem)
    source = f"data:{_MIME[path.suffix]};base64,{data}"
    return f'<figure><img alt="{name}" src="{source}"><figcaption>{name}</figcaption></figure>\n'


def _folded(title: str, html: str) -> str:
    return f"<details><summary>{title}</summary>{html}</details>"


def _provenance(provenance: Mapping[str, object]) -> str:
    items = []
    for key, value in provenance.items():
        text = value if isinstance(value, str) else json.dumps(value, indent=1, ensure_ascii=False)
        items.append(f"<dt>{escape(str(key))}</dt><dd><pre>{escape(text)}</pre></dd>")
    return f"<dl>{''.join(items)}</dl>"
