"""Settings of a corpus that is described by a table."""

import codecs
from pathlib import Path
from typing import Literal

from pydantic import field_validator, model_validator

from jobs.corpus.settings import SELECTION_EXAMPLE, CorpusSettings
from jobs.settings import Name, Settings


class CsvColumns(Settings):
    """Names of the table's columns; a column that is named here must exist.

    All other columns become targets: numbers for regression, text for classification.
    """

    EXAMPLES = (
        "{audio: file, speaker: who, split: subset, transcript: words, utterance: id,"
        " chapter: session}",
    )

    audio: str = "audio_path"
    """Column with the path of each audio file, absolute or relative to ``root``."""
    speaker: str = "speaker_id"
    """Column with the speaker of each utterance."""
    split: str | None = None
    """Column with the split of each utterance. By default ``split`` if there is such a column;
    otherwise all utterances are in the split ``all``."""
    transcript: str | None = None
    """Column with the text that is spoken. By default ``text``; without it, targets that are
    computed from the transcript have no values."""
    utterance: str | None = None
    """Column with a unique name of each utterance. By default ``utterance_id``, otherwise the
    file name of the audio, or its path if file names repeat."""
    chapter: str | None = None
    """Column with the recording session or chapter, for ``protocol.group: chapter_id``. By default
    ``chapter_id``."""

    @model_validator(mode="after")
    def _one_use_each(self) -> "CsvColumns":
        roles = ("audio", "speaker", "split", "transcript")
        used = [(role, getattr(self, role)) for role in roles if getattr(self, role) is not None]
        for position, (role, column) in enumerate(used):
            for other, earlier in used[:position]:
                if column == earlier:
                    raise ValueError(
                        f"{role}: the column {column!r} is that of {other} already: name another"
                    )
        return self


class CsvDialect(Settings):
    """Dialect of a table. Keys that are not given are detected from the file. The result is
    reported unless it is the usual one: commas (tabs in a ``.tsv`` file), cells in quotes where
    needed, UTF-8, decimal points.
    """

    EXAMPLES = ("{separator: ';', quoting: none, encoding: cp1252, decimal: ','}",)

    separator: str | None = None
    """Character between cells, or ``tab``. By default the first of comma, tab, semicolon and
    vertical bar with which the header has the columns that are needed."""
    quoting: Literal["csv", "none"] | None = None
    """``csv``: quotes around a cell enclose separators, line ends and doubled quotes. ``none``:
    quotes are part of the text, as in Common Voice. By default ``csv``, unless rows are complete
    only with ``none``."""
    encoding: str | None = None
    """Encoding, by one of Python's names: ``utf-8``, ``cp1252``, ``shift_jis``. By default UTF-8,
    UTF-16, or Windows-1252 where every letter makes sense in it."""
    decimal: Literal[".", ","] | None = None
    """Decimal mark of numbers. By default each column's own: the point, or the comma where all
    cells are numbers with it and none can be one with thousands separators."""

    @field_validator("separator", mode="before")
    @classmethod
    def _one_character(cls, separator: object) -> object:
        if separator == "tab":
            return "\t"
        if isinstance(separator, str) and (len(separator) != 1 or separator in '"\r\n\0'):
            raise ValueError("expected one character, such as ';' or '|', or the word tab")
        return separator

    @field_validator("encoding")
    @classmethod
    def _known(cls, encoding: str | None) -> str | None:
        try:
            if encoding is not None:
                codecs.lookup(encoding)
                "a".encode(encoding)
        except (LookupError, ValueError) as error:
            raise ValueError(
                f"expected an encoding that Python knows, such as cp1252 or utf-16; found "
                f"{encoding!r}"
            ) from error
        return encoding


class CsvSettings(CorpusSettings):
    """A corpus described by a CSV table with a header, one utterance in each row.

    Other separators, encodings and ways of quoting are recognised, see ``corpus.dialect``.
    """

    EXAMPLES = (
        "{kind: csv, path: clips.csv, root: clips, columns: {audio: file}, classes: [dialect],"
        " dialect: {separator: ;}}",
        f"{{kind: csv, path: clips.csv, {SELECTION_EXAMPLE}}}",
    )

    kind: Literal["csv"] = "csv"
    """A table of your own."""
    path: Path | dict[Name, Path]
    """The table, or a mapping from each split to its table: ``{train: a.csv, test: b.csv}``."""
    root: Path | None = None
    """Folder that relative audio paths start from. By default the folder of the table."""
    columns: CsvColumns = CsvColumns()
    """Names of the columns, where they differ from the defaults."""
    classes: tuple[str, ...] = ()
    """Columns whose numbers are codes of classes, so that they are targets for classification."""
    dialect: CsvDialect = CsvDialect()
    """Separator, quoting, encoding and decimal mark, where they are not found rightly."""

    @field_validator("path", mode="before")
    @classmethod
    def _file_or_files(cls, path: object) -> object:
        files = list(path.values()) if isinstance(path, dict) else [path]
        if not files or not all(isinstance(file, str | Path) and str(file) for file in files):
            raise ValueError("path: expected a file, or a file for each split: {train: a.csv, …}")
        return path

    def tables(self) -> list[Path]:
        """The table, or the tables of all splits."""
        return list(self.path.values()) if isinstance(self.path, dict) else [self.path]
