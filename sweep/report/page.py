"""``report.html``: the whole report in one file that needs nothing else, not even a network."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import pandas as pd

from jobs.files import write_text
from sweep.report.markup import Cell, Table
from sweep.report.tables import layers_notes, layers_table, models_notes, models_table

_MIME = {".png": "image/png", ".svg": "image/svg+xml"}

_READING = (
    (
        "R²",
        "The share of the target's variance in the test part that a probe explains, measured "
        "against the mean of the <em>training</em> targets: 1 is perfect, 0 is what knowing "
        "nothing but that mean reaches, below 0 is worse than that.",
    ),
    (
        "Interval",
        "95 %, from a bootstrap over <em>speakers</em>: utterances of one speaker are alike, so "
        "resampling utterances would promise too much. Two intervals that overlap do not show "
        "that two layers are equal.",
    ),
    (
        "R² on other speakers",
        "The best layer of many has, on the speakers that it was chosen on, a score that is too "
        "good: among many that know nothing, some are above 0 by luck. So the test "
        "speakers are dealt into parts, and each part is scored with the layer that the others "
        "chose; the value is the mean over many deals. The interval repeats both, the choice and "
        "the score, in every resample of speakers, after Tsamardinos, Greasidou &amp; Borboudakis "
        "(2018), doi 10.1007/s10994-018-5714-4. It is wide where speakers disagree about the best "
        "layer. With one layer it is that layer's R² and interval.",
    ),
    (
        "Mean predictor",
        "The error of always answering with the mean of the training targets. Every MSE and MAE "
        "has to be read beside it.",
    ),
    (
        "Baselines",
        "The same probe on the utterance's duration alone, and on the mean and deviation of its "
        "filter bank, the model's own input. A layer that does not beat them has added nothing.",
    ),
    (
        "Selectivity",
        "R² minus the R² of the same probe on shuffled targets, trained and tested on them, where "
        "that is above 0. Shuffled targets cannot be predicted, so a control above 0 is what the "
        "protocol itself gives away, or luck; one below 0 only says how badly the probe overfits, "
        "and is not counted in a layer's favour.",
    ),
    (
        "CCA",
        "The canonical correlation with the target, fitted on the training part and measured on "
        "the test part. On the data it was fitted on it would be high for pure noise.",
    ),
    (
        "† and open circles",
        "A point that lacks planned cells: a seed diverged, or a fold failed. Its scores are "
        "means over the rest. Where all cells of a layer failed, its curve has a gap. The notes "
        "under the first table say which, and why.",
    ),
    (
        "r within speakers",
        "The correlation after each speaker's own mean is taken out: what a layer knows of the "
        "utterance, not only of who speaks.",
    ),
)

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
) -> None:
    """Write the report of the run ``name`` to ``path``.

    ``plots`` are SVG or PNG files and are embedded in the order given; ``notes`` are shown under
    the comparison table; ``provenance`` holds whatever JSON can hold.

    Raises:
        ValueError: a plot is neither PNG nor SVG.
    """
    all_layers = _table(layers_table(layers)) + _notes(list(layers_notes(layers)))
    comparison = _table(models_table(models)) + _notes([*models_notes(models), *notes])
    sections = (
        ("models", "Models", comparison),
        ("reading", "How to read this", _reading()),
        ("plots", "Curves over layers", _plots(plots)),
        ("layers", "All layers", _folded("Table of all layers", all_layers)),
        ("provenance", "Provenance", _provenance(provenance)),
    )
    links = "".join(f'<a href="#{anchor}">{title}</a>' for anchor, title, _ in sections)
    body = "".join(f'<h2 id="{anchor}">{title}</h2>\n{html}\n' for anchor, title, html in sections)
    title = escape(name)
    write_text(
        path,
        f"""<!DOCTYPE html>
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
""",
    )


def _policy() -> str:
    """Nothing is loaded from anywhere, and no script runs but the page's own."""
    digest = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
    return (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'"
    )


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


def _reading() -> str:
    return "<dl>" + "".join(f"<dt>{term}</dt><dd>{text}</dd>" for term, text in _READING) + "</dl>"


def _plots(plots: Sequence[Path]) -> str:
    return "".join(map(_figure, plots))


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
