"""Read a corpus from a CSV table with one utterance per row.

Columns without a role stay in the utterance table and are targets by their names: numbers for
regression, text for classification.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from jobs.corpus.assemble import Line, absolute, assemble_lines
from jobs.corpus.csv_settings import CsvColumns, CsvSettings
from jobs.corpus.dialect import (
    SEPARATORS,
    DialectError,
    Given,
    Sheet,
    dialect_note,
    read_sheet,
)
from jobs.corpus.encodings import EncodingError
from jobs.corpus.numbers import as_numbers, decimal_mark
from jobs.corpus.skipped import Skipped
from jobs.corpus.table import (
    COLUMNS,
    DECIMAL_MARK,
    DECLARED_CLASSES,
    Corpus,
    CorpusError,
)
from jobs.progress import ProgressCallback, ignore_progress

_KEY = ["utterance_id", "audio_path"]

USUAL_COLUMNS = {
    "split": "split",
    "transcript": "text",
    "utterance": "utterance_id",
    "chapter": "chapter_id",
}
"""Role → default column, used if it exists and no other is named."""


@dataclass(frozen=True)
class _Table:
    """A table that was read."""

    path: Path
    sheet: Sheet
    cells: pd.DataFrame
    """Every cell as text; columns without a name are left out."""
    split: str | None
    """Split of all its rows; None if a column has it."""


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
    tables = _read_tables(settings)
    for table in tables:
        names = _names(settings.columns, table)
        root = absolute(settings.root) if settings.root else table.path.parent
        rows = list(_lines(table, names, root))
        lines += rows
        others.append(_other_columns(table.cells, names, rows))
    if not lines:
        paths = ", ".join(str(table.path) for table in tables)
        raise CorpusError(f"no row below the header of {paths}: expected one for each utterance")
    corpus = assemble_lines(lines, progress, cache)
    other = pd.concat(others, ignore_index=True).drop_duplicates(_KEY)
    columns = other.columns.difference(_KEY)
    classes = [name.strip() for name in settings.classes]
    unknown = [name for name in classes if name not in columns]
    if unknown:
        raise CorpusError(
            f"corpus.classes: no column {unknown[0]!r}; expected some of {', '.join(columns)}"
        )
    merged = corpus.utterances.merge(other, how="left", on=_KEY)
    remarks = [*_dialect_notes(tables, settings)]
    for name in columns:
        merged[name] = merged[name].fillna("")
        if name not in classes:
            merged[name], found = _typed(merged, name, settings)
            remarks += found
    merged.attrs |= {DECLARED_CLASSES: classes, DECIMAL_MARK: settings.dialect.decimal}
    return replace(corpus, utterances=merged, remarks=(*corpus.remarks, *remarks))


def _read_tables(settings: CsvSettings) -> list[_Table]:
    """Read every table; if one can only be read without quoting, all that allow it are."""
    paths = settings.path if isinstance(settings.path, dict) else {None: settings.path}
    given = _given(settings)
    read = [(split, absolute(path)) for split, path in paths.items()]
    sheets = [_read(path, settings, given) for _, path in read]
    if len(sheets) > 1 and any(sheet.quoting == "none" for sheet in sheets):
        unquoted = replace(given, quoting="none")
        for position, (_, path) in enumerate(read):
            sheets[position] = _alike(path, settings, unquoted, sheets[position])
    tables = []
    for (split, path), sheet in zip(read, sheets, strict=True):
        columns = {
            name: [row[place] for row in sheet.rows]
            for place, name in enumerate(sheet.header)
            if name
        }
        tables.append(_Table(path, sheet, pd.DataFrame(columns, dtype=str), split))
    return tables


def _given(settings: CsvSettings) -> Given:
    dialect = settings.dialect
    return Given(dialect.separator, dialect.quoting, dialect.encoding)


def usual_separator(path: Path) -> str:
    """Return the separator that the name of a table suggests."""
    return "\t" if path.suffix.lower() == ".tsv" else ","


def _read(path: Path, settings: CsvSettings, given: Given) -> Sheet:
    if not path.is_file():
        raise CorpusError(f"no table at {path}: expected a CSV file; correct corpus.path")
    columns = settings.columns
    needed = {columns.audio.strip(), columns.speaker.strip()}
    try:
        return read_sheet(path.read_bytes(), usual_separator(path), needed, given)
    except (EncodingError, DialectError) as error:
        raise CorpusError(f"{path} cannot be read as a table: {error}") from error


def _alike(path: Path, settings: CsvSettings, given: Given, sheet: Sheet) -> Sheet:
    """Read a table without quoting, as those beside it; as before, if its rows need quoting."""
    if sheet.quoting == "none":
        return sheet
    try:
        unquoted = _read(path, settings, given)
    except CorpusError:
        return sheet
    return unquoted if unquoted.header == sheet.header else sheet


def _dialect_notes(tables: list[_Table], settings: CsvSettings) -> Iterator[str]:
    for table in tables:
        note = dialect_note(table.sheet, usual_separator(table.path), _given(settings))
        if note:
            yield f"{table.path.name} is {note}"


def _names(columns: CsvColumns, table: _Table) -> Mapping[str, str]:
    """Return role → column, for the columns that exist.

    Raises:
        CorpusError: a required column is missing.
    """
    cells, path = table.cells, table.path
    named = {role: name.strip() for role, name in columns if name is not None}
    roles = USUAL_COLUMNS | named
    if table.split is not None:
        del roles["split"]
    missing = [role for role in roles if role in named and roles[role] not in cells.columns]
    if missing:
        wanted = ", ".join(f"{roles[role]!r} (corpus.columns.{role})" for role in missing)
        separator = SEPARATORS.get(table.sheet.separator, repr(table.sheet.separator))
        raise CorpusError(
            f"{path} has no column {wanted}; its columns are {', '.join(map(str, cells.columns))}: "
            f"name the right ones in corpus.columns, or, if {separator} do not separate them, "
            "correct corpus.dialect.separator"
        )
    return {role: name for role, name in roles.items() if name in cells.columns}


def _lines(table: _Table, names: Mapping[str, str], root: Path) -> Iterator[Line | Skipped]:
    """Yield a line for every row, in order."""
    cells = table.cells
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
    splits = [table.split] * len(cells) if table.split is not None else column("split", "all")
    columns = (column("speaker", ""), column("transcript", ""), column("chapter", ""))
    for number, cell, name, split, speaker, text, chapter in zip(
        table.sheet.numbers, audio, ids, splits, *columns, strict=True
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


def _typed(table: pd.DataFrame, name: str, settings: CsvSettings) -> tuple[pd.Series, list[str]]:
    """Return a column as float if it holds numbers, else as text, with remarks on its numbers."""
    cells = table[name]
    decimal = settings.dialect.decimal or decimal_mark(cells)
    if decimal is None:
        return cells, []
    values = as_numbers(cells, decimal)
    if not pd.api.types.is_numeric_dtype(values):
        return cells, []
    remarks = []
    if decimal == "," and settings.dialect.decimal is None:
        example = next(cell.strip() for cell in cells if "," in cell)
        remarks.append(
            f"the column {name} is read as numbers with a decimal comma: {example!r} is "
            f"{example.replace(',', '.')}; corpus.dialect.decimal or corpus.classes sets it "
            "otherwise"
        )
    infinite = np.flatnonzero(np.isinf(values.to_numpy(dtype=np.float64)))
    if len(infinite):
        first = infinite[0]
        remarks.append(
            f"{len(infinite)} of {len(table)} cells of the column {name} are not finite numbers "
            f"and count as missing (first: {cells.iloc[first].strip()!r}, utterance "
            f"{table['utterance_id'].iloc[first]})"
        )
    return values, remarks
