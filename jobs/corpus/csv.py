"""Read a corpus from a CSV table with one utterance per row.

Columns without a role stay in the utterance table and are targets by their names: numbers for
regression, text for classification.
"""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd

from jobs.corpus.assemble import Line, absolute, assemble_lines
from jobs.corpus.csv_settings import CsvColumns, CsvSettings
from jobs.corpus.skipped import Skipped
from jobs.corpus.table import COLUMNS, Corpus, CorpusError, as_numbers
from jobs.progress import ProgressCallback, ignore_progress

_KEY = ["utterance_id", "audio_path"]
_EXPECTED = (
    "expected UTF-8, a header, equally many cells in every row, separated by commas, or by tabs in "
    "a .tsv file"
)


_USUAL = {
    "split": "split",
    "transcript": "text",
    "utterance": "utterance_id",
    "chapter": "chapter_id",
}
"""Role → default column, used if it exists and no other is named."""


def read_csv(
    settings: CsvSettings,
    progress: ProgressCallback = ignore_progress,
    cache: Path | None = None,
) -> Corpus:
    """Read the table or tables; unusable rows are skipped with a reason.

    Returns:
        The corpus; the utterance table also has the columns without a role, as float if every cell
        is a number or empty, otherwise as str.

    Raises:
        CorpusError: a table is missing, cannot be read, or lacks a column.
    """
    lines: list[Line | Skipped] = []
    others = []
    tables = settings.path if isinstance(settings.path, dict) else {None: settings.path}
    for part, given in tables.items():
        path = absolute(given)
        cells = _read(path)
        names = _names(settings.columns, cells, path, needs_split=part is None)
        root = absolute(settings.root) if settings.root else path.parent
        rows = list(_lines(cells, names, root, part))
        lines += rows
        others.append(_other_columns(cells, names, rows))
    corpus = assemble_lines(lines, progress, cache)
    other = pd.concat(others, ignore_index=True).drop_duplicates(_KEY)
    columns = other.columns.difference(_KEY)
    unknown = [name for name in settings.classes if name not in columns]
    if unknown:
        raise CorpusError(
            f"corpus.classes: no column {unknown[0]!r}; expected some of {', '.join(columns)}"
        )
    table = corpus.utterances.merge(other, how="left", on=_KEY)
    for name in columns:
        column = table[name].fillna("")
        table[name] = column if name in settings.classes else as_numbers(column)
    return Corpus(table, corpus.skipped, corpus.notes)


def _read(path: Path) -> pd.DataFrame:
    """Read every cell as text."""
    if not path.is_file():
        raise CorpusError(f"no table at {path}: expected a CSV file; correct corpus.path")
    separator = "\t" if path.suffix == ".tsv" else ","
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file, delimiter=separator, strict=True) if row]
    except (csv.Error, UnicodeDecodeError) as error:
        raise CorpusError(f"{path} cannot be read as a table: {error}; {_EXPECTED}") from error
    header = rows[0] if rows else []
    twice = sorted({name for name in header if header.count(name) > 1})
    if not header or twice:
        problem = f"the columns {', '.join(twice)} come twice" if twice else "it is empty"
        raise CorpusError(f"{path} cannot be read as a table: {problem}; {_EXPECTED}")
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(header):
            raise CorpusError(
                f"{path} cannot be read as a table: row {number} has {len(row)} cells, the header "
                f"{len(header)}; {_EXPECTED}"
            )
    return pd.DataFrame(rows[1:], columns=header, dtype=str)


def _names(
    columns: CsvColumns, cells: pd.DataFrame, path: Path, needs_split: bool
) -> Mapping[str, str]:
    """Return role → column, for the columns that exist.

    Raises:
        CorpusError: a required column is missing.
    """
    named = {role: name for role, name in columns if name is not None}
    roles = _USUAL | named
    if not needs_split:
        del roles["split"]
    missing = [role for role in roles if role in named and roles[role] not in cells.columns]
    if missing:
        wanted = ", ".join(f"{roles[role]!r} (corpus.columns.{role})" for role in missing)
        raise CorpusError(
            f"{path} has no column {wanted}; its columns are {', '.join(map(str, cells.columns))}: "
            "name the right ones in corpus.columns"
        )
    return {role: name for role, name in roles.items() if name in cells.columns}


def _lines(
    cells: pd.DataFrame, names: Mapping[str, str], root: Path, part: str | None
) -> Iterator[Line | Skipped]:
    """Yield a line for every row, in order."""
    audio = [cell.strip() for cell in cells[names["audio"]]]

    def column(role: str, default: str) -> list[str]:
        if role not in names:
            return [default] * len(cells)
        return [cell.strip() for cell in cells[names[role]]]

    if "utterance" in names:
        ids = column("utterance", "")
    else:
        stems = [Path(cell).stem for cell in audio]
        ids = stems if len(set(stems)) == len(stems) else audio
    parts = [part] * len(cells) if part is not None else column("split", "all")
    columns = (column("speaker", ""), column("transcript", ""), column("chapter", ""))
    for number, (cell, name, split, speaker, text, chapter) in enumerate(
        zip(audio, ids, parts, *columns, strict=True), start=2
    ):
        path = root / cell
        empty = {"audio": cell, "utterance id": name, "split": split, "speaker": speaker}
        lacking = [what for what, value in empty.items() if not value]
        if lacking:
            reason = f"no {' and no '.join(lacking)}: the cell is empty, in row {number}"
            yield Skipped(name or f"row {number}", str(path), reason)
        else:
            yield Line(split, name, path, text, speaker, chapter)


def _other_columns(
    cells: pd.DataFrame, names: Mapping[str, str], rows: list[Line | Skipped]
) -> pd.DataFrame:
    """Return the columns without a role, with the keys of their utterances.

    A column named like one of the utterance table is dropped.
    """
    other = cells[[name for name in cells.columns if name not in {*names.values(), *COLUMNS}]]
    return other.assign(
        utterance_id=[row.utterance_id for row in rows],
        audio_path=[str(row.audio if isinstance(row, Line) else row.path) for row in rows],
    )
