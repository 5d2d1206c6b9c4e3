"""Draft a spec for a table of recordings: find the roles of its columns, and what to predict."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from jobs.corpus.csv import USUAL_COLUMNS, usual_separator
from jobs.corpus.csv_settings import CsvColumns
from jobs.corpus.dialect import DialectError, Given, read_sheet
from jobs.corpus.encodings import EncodingError
from jobs.corpus.numbers import MISSING, is_number
from jobs.corpus.table import COLUMNS
from jobs.targets.registry import TARGETS
from sweep.drafts.draft import Draft, DraftTarget, Values, sweep_name
from sweep.drafts.protocol import by_splits, in_folds
from sweep.errors import UsageError
from sweep.wording import counted

ROLES = {
    "audio": ("audio_path", "audio", "path", "audio_file", "file", "filename", "file_name", "wav"),
    "speaker": ("speaker_id", "speaker", "spk", "spk_id", "client_id", "subject", "participant"),
    "split": ("split", "subset", "partition", "set"),
    "transcript": ("text", "transcript", "transcription", "sentence", "words"),
    "utterance": ("utterance_id", "utterance", "utt_id", "utt", "id"),
}
"""Usual names of the columns with a role, in lower case."""

DEFAULTS = {"audio": CsvColumns().audio, "speaker": CsvColumns().speaker, **USUAL_COLUMNS}
"""Names that a spec need not mention."""

MOST_CLASSES = 100
"""Number of classes above which a column is taken for names."""
_LOOKED_AT = 20
"""Number of cells that are tried as paths."""


def draft_of_table(path: Path, audio: str | None = None, speaker: str | None = None) -> Draft:
    """Look at a table with a row per recording.

    Args:
        path: CSV or similar, with a header.
        audio: column with the paths, if it is known.
        speaker: column with the speakers, if it is known.

    Raises:
        UsageError: it cannot be read, or has no column with audio files or with speakers.
    """
    cells = _read(path)
    roles = _roles(cells, path, {"audio": audio, "speaker": speaker})
    corpus: dict[str, object] = {"kind": "csv", "path": str(path)}
    root = _root(cells[roles["audio"]], path)
    if root is not None:
        corpus["root"] = root
    named = {role: name for role, name in roles.items() if name != DEFAULTS[role]}
    if named:
        corpus["columns"] = named
    targets, left_out = _targets(cells, roles)
    protocol, about = _protocol(cells, roles)
    n_speakers = cells[roles["speaker"]].nunique()
    return Draft(
        name=sweep_name(path.stem),
        corpus=corpus,
        about_corpus=f"{counted(len(cells), 'recording')} of {counted(n_speakers, 'speaker')}",
        targets=targets,
        left_out=left_out,
        protocol=protocol,
        about_protocol=about,
    )


def _read(path: Path) -> pd.DataFrame:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read the table {path}: {error.strerror}") from None
    try:
        sheet = read_sheet(data, usual_separator(path), (), Given())
    except (DialectError, EncodingError) as error:
        raise UsageError(f"cannot read the table {path}: {error}") from None
    columns = {
        name: [row[place].strip() for row in sheet.rows]
        for place, name in enumerate(sheet.header)
        if name
    }
    if not sheet.rows:
        raise UsageError(f"no row below the header of {path}: expected one for each recording")
    return pd.DataFrame(columns, dtype=str)


def _roles(cells: pd.DataFrame, path: Path, given: Mapping[str, str | None]) -> dict[str, str]:
    """Role → column. A column that is given or has a usual name; audio is also recognised by its
    files."""
    header = [str(name) for name in cells]
    found: dict[str, str] = {}
    for role, usual in ROLES.items():
        name = given.get(role)
        if name is not None and name not in header:
            raise UsageError(f"{path} has no column {name!r}: expected one of {', '.join(header)}")
        by_name = {other.lower(): other for other in reversed(header)}
        likely = [by_name[other] for other in usual if other in by_name]
        chosen = name or next((other for other in likely if other not in found.values()), None)
        if chosen is not None:
            found[role] = chosen
    if "utterance" in found and cells[found["utterance"]].duplicated().any():
        del found["utterance"]
    if given.get("audio") is None:
        with_files = [name for name in header if _existing(cells[name], path.parent, Path())]
        if with_files and found.get("audio") not in with_files:
            found["audio"] = with_files[0]
    for role, what in (("audio", "paths of audio files"), ("speaker", "speakers")):
        if role not in found:
            raise UsageError(
                f"no column of {path} looks like {what} (columns: {', '.join(header)}): name it "
                f"with --{role} COLUMN"
            )
    return found


def _root(paths: pd.Series, table: Path) -> str | None:
    """Folder that relative paths start from, None if it is the table's own."""
    if _existing(paths, table.parent) or not _existing(paths, Path()):
        return None
    return "."


def _existing(paths: pd.Series, *folders: Path) -> bool:
    """Return whether most of the first cells are files, seen from one of the folders."""
    tried = [cell for cell in paths.iloc[:_LOOKED_AT] if cell and len(cell) < 4096]
    there = [any(_is_file(folder / cell) for folder in folders) for cell in tried]
    return bool(tried) and sum(there) > len(tried) / 2


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name too long, or with NUL
        return False


def _targets(
    cells: pd.DataFrame, roles: Mapping[str, str]
) -> tuple[tuple[DraftTarget, ...], tuple[str, ...]]:
    targets = [_known("cps")] if "transcript" in roles else []
    left_out = []
    for name in map(str, cells):
        if name in roles.values() or name in COLUMNS:
            continue
        kind, why = _kind_of(cells[name])
        if kind is None:
            left_out.append(f"{name}: {why}")
        else:
            targets.append(DraftTarget(name, kind == "classes", f"{kind} in your table ({why})"))
    # A baseline predicts duration perfectly, so it is a target only if the table offers none.
    return tuple(targets or [_known("duration")]), tuple(left_out)


def _known(name: str) -> DraftTarget:
    target = TARGETS[name]
    unit = f", in {target.unit}" if target.unit else ""
    return DraftTarget(name, target.kind == "classification", f"{target.description}{unit}")


def _kind_of(column: pd.Series) -> tuple[str | None, str]:
    """(``numbers`` or ``classes``, what they are), or (None, why it is neither)."""
    known = column[~column.str.lower().isin(MISSING)]
    n_values = known.nunique()
    if n_values < 2:
        return None, "it is empty" if n_values == 0 else "all its values are equal"
    if known.map(is_number).all():
        values = known.astype(float)
        return "numbers", f"{values.min():g} to {values.max():g}"
    if n_values > min(len(known) / 2, MOST_CLASSES):
        return None, f"{n_values} different texts are no classes"
    return "classes", _shown(sorted(known.unique()))


def _shown(names: Sequence[str]) -> str:
    more = f", … {len(names)} in all" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more


def _protocol(cells: pd.DataFrame, roles: Mapping[str, str]) -> tuple[Values, str]:
    speakers = cells[roles["speaker"]]
    if "split" not in roles:
        return in_folds(speakers.nunique())
    splits = cells[roles["split"]]
    together = pd.DataFrame({"speaker": speakers, "split": splits}).drop_duplicates()
    shared = together["speaker"].duplicated().any()
    found = None if shared else by_splits(list(_in_order(splits)))
    return found or in_folds(speakers.nunique())


def _in_order(values: pd.Series) -> Iterator[str]:
    return iter(dict.fromkeys(value for value in values if value))
