"""``sweep prepare``: a spec's corpus as the study's tables, with its statistics; loads no model."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from jobs.corpus import corpus_subsets
from jobs.corpus import prepare as read_corpus
from jobs.corpus.librispeech_facts import LIBRISPEECH, Fact
from jobs.corpus.settings import CorpusSettings
from jobs.corpus.skipped import Skipped
from jobs.corpus.summary import describe_split
from jobs.corpus.table import Corpus, CorpusError
from jobs.progress import ProgressCallback
from jobs.protocol.folds import check_speakers
from jobs.targets.registry import add_targets, describe_columns
from sweep.commands.prepare_spec import column_lines
from sweep.errors import SpecError, UsageError
from sweep.export.tables import write_split_tables
from sweep.prepare.checks.targets import check_targets
from sweep.prepare.notes import limit_notes, value_notes
from sweep.prepare.plausibility import plausibility_notes
from sweep.prepare.prepare import nothing_left
from sweep.progress.bars import bars_on_stderr
from sweep.progress.wording import printable
from sweep.report.tables.files import write_csv
from sweep.spec.check import CheckContext, Finding
from sweep.spec.loading import LoadedSpec, read_spec
from sweep.wording import counted

SHOWN_SKIPPED = 5
"""Number of skipped utterances that are named on the terminal; the file has all."""


@dataclass(frozen=True)
class PreparedPart:
    """A split of the corpus, and the known facts about its subset."""

    name: str
    subset: str | None
    """LibriSpeech's name of it, if it is one of the subsets with known facts."""
    measures: Mapping[str, float | None]
    """See ``jobs.corpus.summary.describe_split``."""

    @property
    def facts(self) -> Mapping[str, Fact]:
        """Expected values by name of the measure."""
        return LIBRISPEECH[self.subset] if self.subset else {}

    @property
    def differing(self) -> list[str]:
        """Measures that differ from the expected values, including undefined ones."""
        return [
            name
            for name, fact in self.facts.items()
            if name in self.measures and fact.difference(self.measures[name]) != 0.0
        ]


@dataclass(frozen=True)
class PreparedCorpus:
    """Input and output of ``sweep prepare``."""

    folder: Path
    files: tuple[Path, ...]
    """Paths of the tables; the list of skipped utterances is the last."""
    parts: tuple[PreparedPart, ...]
    skipped: tuple[Skipped, ...]
    warnings: tuple[str, ...]
    """Warnings for the user before a run, one sentence each."""
    columns: Mapping[str, str]
    """Own columns of the corpus, and what each is as a target: numbers or classes."""


def prepare_corpus(
    path: Path, overrides: Sequence[str], to: Path | None, cache: Path
) -> PreparedCorpus:
    """Read the corpus of a spec and write ``<part>_<target>.csv`` and ``skipped.csv``.

    Args:
        path: of the spec.
        overrides: ``KEY=VALUE`` assignments to it.
        to: the folder to write to; by default ``results/<name>/corpus``.
        cache: folder for synthetic corpora and measurements.

    Raises:
        SpecError: the spec is wrong, in form or regarding corpus and targets; all problems are
            listed. Or no utterance can be read.
        UsageError: the folder cannot be written to.
    """
    with bars_on_stderr() as progress:
        loaded, corpus = _read(path, overrides, cache, progress)
        spec = loaded.spec
        targets = list(dict.fromkeys(spec.targets))
        table = add_targets(corpus.utterances, targets, cache, progress)
    folder = to or Path("results") / spec.name / "corpus"
    try:
        files = _write(folder, table, targets, corpus.skipped)
    except OSError as error:
        raise UsageError(f"cannot write to {folder}: {error}; choose another with --to") from error
    if table.empty:
        found = [(place, f"{why}; see {files[-1]}") for place, why in nothing_left(corpus)]
        raise SpecError(loaded.problems(found))
    subsets = _known_subsets(spec.corpus)
    parts = tuple(
        PreparedPart(name, subsets.get(name), describe_split(rows, targets))
        for name, rows in _parts(spec.corpus, table)
    )
    limits = limit_notes(targets, corpus.utterances.columns, table, cache)
    warnings = (
        *corpus.notes,
        *plausibility_notes(table),
        *value_notes(spec, table),
        *limits,
        *dict.fromkeys(
            message
            for target in targets
            for message in check_speakers(spec.target_protocols.of(target), table)
        ),
    )
    columns = describe_columns(corpus.utterances)
    return PreparedCorpus(folder, files, parts, corpus.skipped, warnings, columns)


def _read(
    path: Path, overrides: Sequence[str], cache: Path, progress: ProgressCallback
) -> tuple[LoadedSpec, Corpus]:
    """Read a spec and its corpus; problems of form and of meaning are reported together."""
    loaded = read_spec(path, overrides)
    corpus: Corpus | None = None
    findings: list[Finding] = []
    try:
        corpus = read_corpus(loaded.spec.corpus, cache, progress)
        findings += check_targets(loaded.spec, CheckContext(utterances=corpus.utterances))
    except (CorpusError, ValueError) as error:
        findings.append((("corpus",), str(error)))
    loaded.raise_problems(findings)
    assert corpus is not None
    return loaded, corpus


def _write(
    folder: Path, table: pd.DataFrame, targets: Sequence[str], skipped: Sequence[Skipped]
) -> tuple[Path, ...]:
    files = write_split_tables(folder, table, targets)
    rows = pd.DataFrame(
        [{key: _as_utf8(value) for key, value in vars(one).items()} for one in skipped],
        columns=["utterance_id", "path", "reason"],
    )
    return (*files, write_csv(folder / "skipped.csv", rows))


def _as_utf8(text: str) -> str:
    """``text`` with escapes for the bytes of a file's name that are not UTF-8."""
    return text.encode(errors="backslashreplace").decode()


def _known_subsets(settings: CorpusSettings) -> dict[str, str]:
    """Map splits to their subsets with known facts."""
    return {
        part: Path(subsets[0]).name
        for part, subsets in corpus_subsets(settings).items()
        if len(subsets) == 1 and Path(subsets[0]).name in LIBRISPEECH
    }


def _parts(settings: CorpusSettings, table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield every split with its rows, also one without readable utterances."""
    for name in dict.fromkeys([*corpus_subsets(settings), *table["split"]]):
        yield name, table[table["split"] == name]


def print_preparation(prepared: PreparedCorpus) -> None:
    """Print the statistics on standard output; warnings and skipped utterances on standard
    error."""
    for warning in prepared.warnings:
        print(printable(f"warning: {warning}"), file=sys.stderr)
    for one in prepared.skipped[:SHOWN_SKIPPED]:
        print(printable(f"skipped {one.utterance_id}: {one.reason}"), file=sys.stderr)
    width = None if sys.stdout.isatty() else 200
    Console(highlight=False, width=width).print(statistics_table(prepared.parts))
    for part in prepared.parts:
        if part.subset:
            differing = ", ".join(part.differing)
            verdict = f"DIFFERS in {differing} from" if differing else "agrees with"
            print(printable(f"{part.name}: {verdict} LibriSpeech's {part.subset} as it is known"))
    for line in column_lines(prepared.columns):
        print(printable(line))
    n_skipped = counted(len(prepared.skipped), "utterance")
    print(f"{n_skipped} skipped: {prepared.folder / 'skipped.csv'}")
    print(f"tables: {prepared.folder}")


def statistics_table(parts: Sequence[PreparedPart]) -> Table:
    """Make a row per split × measure: the value found and, if known, the expected one."""
    table = Table(caption="ICC: share of the variance between speakers; 0 if estimated below")
    columns = ["part", "measure", "found"]
    if any(part.facts for part in parts):
        columns += ["known", "tolerance", "difference"]
    for name in columns:
        table.add_column(name, justify="left" if name in ("part", "measure") else "right")
    for part in parts:
        for row, (name, value) in enumerate(part.measures.items()):
            style = "bold red" if name in part.differing else ""
            cells = (
                part.name if row == 0 else "",
                name,
                _number(value),
                *_comparison(part.facts.get(name), value),
            )
            shown = cells[: len(columns)]
            table.add_row(*(Text(printable(cell)) for cell in shown), style=style)
        table.add_section()
    return table


def _comparison(fact: Fact | None, found: float | None) -> tuple[str, str, str]:
    """Format the known value, its tolerance, and the difference if it is larger."""
    if fact is None:
        return "", "", ""
    difference = fact.difference(found)
    if difference is None:
        shown = "undefined"
    else:
        shown = f"{difference:+.{3 if fact.tolerance else 6}g}" if difference else "ok"
    return f"{fact.value:g}", f"±{fact.tolerance:g}" if fact.tolerance else "exact", shown


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return str(value) if isinstance(value, int) else f"{value:.4g}"
