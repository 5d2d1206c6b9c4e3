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
from jobs.targets.registry import add_targets
from sweep.errors import SpecError, UsageError
from sweep.export.tables import write_split_tables
from sweep.prepare.checks.targets import check_targets
from sweep.progress.bars import bars_on_stderr
from sweep.progress.wording import printable
from sweep.report.tables.files import write_csv
from sweep.spec.check import CheckContext, Finding
from sweep.spec.loading import LoadedSpec, read_spec
from sweep.wording import counted

SHOWN_SKIPPED = 5
"""Skipped utterances that are named on the terminal; the file has all."""


@dataclass(frozen=True)
class PreparedPart:
    """A part of the corpus, and what is known of the subset that it is."""

    name: str
    subset: str | None
    """LibriSpeech's name of it, if it is one of the subsets of which facts are known."""
    measures: Mapping[str, float | None]
    """See ``jobs.corpus.summary.describe_split``."""

    @property
    def facts(self) -> Mapping[str, Fact]:
        """Name of a measure → what it should be."""
        return LIBRISPEECH[self.subset] if self.subset else {}

    @property
    def differing(self) -> list[str]:
        """Measures that are not as known; one that should be there and is undefined counts."""
        return [
            name
            for name, fact in self.facts.items()
            if name in self.measures and fact.difference(self.measures[name]) != 0.0
        ]


@dataclass(frozen=True)
class PreparedCorpus:
    """What ``sweep prepare`` read and wrote."""

    folder: Path
    files: tuple[Path, ...]
    """The tables, and the list of what was skipped last."""
    parts: tuple[PreparedPart, ...]
    skipped: tuple[Skipped, ...]
    warnings: tuple[str, ...]
    """What a user should know before a run, a sentence each."""


def prepare_corpus(
    path: Path, overrides: Sequence[str], to: Path | None, cache: Path
) -> PreparedCorpus:
    """Read the corpus of a spec and write ``<part>_<target>.csv`` and ``skipped.csv``.

    Args:
        path: of the spec.
        overrides: ``KEY=VALUE`` assignments to it.
        to: the folder to write to; by default ``results/<name>/corpus``.
        cache: where a synthetic corpus is made, and what was measured is kept.

    Raises:
        SpecError: with everything that is wrong with the spec, in form and in what concerns the
            corpus and the targets; or no utterance can be read.
        UsageError: the folder cannot be written to.
    """
    with bars_on_stderr() as tell:
        loaded, corpus = _read(path, overrides, cache, tell)
        spec = loaded.spec
        targets = list(dict.fromkeys(spec.targets))
        table = add_targets(corpus.utterances, targets, cache, tell)
    folder = to or Path("results") / spec.name / "corpus"
    try:
        files = _write(folder, table, targets, corpus.skipped)
    except OSError as error:
        raise UsageError(f"cannot write to {folder}: {error}; choose another with --to") from error
    if table.empty:
        found = f"{counted(len(corpus.skipped), 'utterance')} skipped, see {files[-1]}"
        raise SpecError(loaded.problems([(("corpus",), f"no utterance can be read: {found}")]))
    subsets = _known_subsets(spec.corpus)
    parts = tuple(
        PreparedPart(name, subsets.get(name), describe_split(rows, targets))
        for name, rows in _parts(spec.corpus, table)
    )
    warnings = (*corpus.notes, *check_speakers(spec.protocol, table))
    return PreparedCorpus(folder, files, parts, corpus.skipped, warnings)


def _read(
    path: Path, overrides: Sequence[str], cache: Path, tell: ProgressCallback
) -> tuple[LoadedSpec, Corpus]:
    """Read a spec and its corpus; problems of form and of meaning are reported together."""
    loaded = read_spec(path, overrides)
    corpus: Corpus | None = None
    findings: list[Finding] = []
    try:
        corpus = read_corpus(loaded.spec.corpus, cache, tell)
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
    """Part → the one subset that it is, of those of which facts are known."""
    return {
        part: Path(subsets[0]).name
        for part, subsets in corpus_subsets(settings).items()
        if len(subsets) == 1 and Path(subsets[0]).name in LIBRISPEECH
    }


def _parts(settings: CorpusSettings, table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Every part with its rows; one of which nothing could be read is there, with none."""
    for name in dict.fromkeys([*corpus_subsets(settings), *table["split"]]):
        yield name, table[table["split"] == name]


def print_preparation(prepared: PreparedCorpus) -> None:
    """The statistics on standard output; warnings and what was skipped on standard error."""
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
    n_skipped = counted(len(prepared.skipped), "utterance")
    print(f"{n_skipped} skipped: {prepared.folder / 'skipped.csv'}")
    print(f"tables: {prepared.folder}")


def statistics_table(parts: Sequence[PreparedPart]) -> Table:
    """A row per part × measure: what was found and, if anything is, what is known of it."""
    table = Table(caption="ICC: share of the variance that lies between speakers")
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
    """The known value, its tolerance, and the difference where it is more."""
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
