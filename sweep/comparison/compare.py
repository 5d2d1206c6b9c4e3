"""``sweep compare``: several runs in one table, one page and one set of files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jobs.storage.atomic import write_text
from sweep.comparison.figures import write_figures
from sweep.comparison.scores import RunScores, compare_scores
from sweep.comparison.settings import SettingDifference, setting_differences
from sweep.comparison.tables import scores_table, settings_table
from sweep.errors import UsageError
from sweep.report.page import render_page
from sweep.report.section import Content, Section
from sweep.report.tables.files import write_csv
from sweep.report.tables.markup import escape_markdown, to_markdown
from sweep.results.run import Run

NAMES = ("compare.csv", "compare.md", "compare.html")
SAME = "The settings, models and data of the runs are the same."
READING = (
    "Differences are those of the same layer of the same model, paired over speakers, with 95 % "
    "intervals; p-values are corrected by Holm's method over the layers of a model."
)


@dataclass(frozen=True)
class Comparison:
    """Several runs, compared with the first of them."""

    labels: tuple[str, ...]
    settings: Sequence[SettingDifference]
    scores: RunScores

    @property
    def targets(self) -> list[str]:
        """Targets that have scores, in the order of the first run."""
        return list(dict.fromkeys(self.scores.table["target"]))


def compare(runs: Sequence[Run]) -> Comparison:
    """Compare ``runs`` with the first of them.

    Raises:
        UsageError: there are fewer than two, or one of them twice.
        RunError: a run has no finished cell, or a file of it is damaged.
    """
    roots = [run.folder.root.resolve() for run in runs]
    if len(runs) < 2 or len(set(roots)) < len(roots):
        raise UsageError("expected two different runs or more, such as results/a results/b")
    for run in runs:
        if run.metrics.empty:
            raise UsageError(f"{run.folder.root} has no finished cell: run its spec first")
    by_label = dict(zip(_labels(runs), runs, strict=True))
    settings = setting_differences(by_label)
    return Comparison(tuple(by_label), settings, compare_scores(by_label))


def write_comparison(folder: Path, found: Comparison) -> Path:
    """Write tables, figures and page; return the page.

    Raises:
        UsageError: the folder holds files of something else.
    """
    if folder.is_dir() and any(folder.iterdir()) and not (folder / NAMES[-1]).exists():
        raise UsageError(f"{folder} is neither empty nor a comparison: choose another folder")
    for old in folder.glob("compare_*.*"):
        old.unlink()
    write_csv(folder / NAMES[0], found.scores.table)
    write_text(folder / NAMES[1], markdown(found))
    figures = write_figures(folder, found.labels, found.scores.table)
    title = " · ".join(found.labels)
    page = folder / NAMES[2]
    write_text(page, render_page(title, _sections(found, figures)))
    return page


def markdown(found: Comparison) -> str:
    """Write the comparison as Markdown: settings first, then a table for each target."""
    parts = [f"# {escape_markdown(' · '.join(found.labels))}", "## Different settings"]
    parts.append(
        to_markdown([settings_table(found.labels, found.settings)], []) if found.settings else SAME
    )
    for target in found.targets:
        rows = found.scores.table[found.scores.table["target"] == target]
        table = scores_table(found.labels, rows)
        parts += [f"## {escape_markdown(target)}", to_markdown([table], [])]
    notes = [READING, *found.scores.notes]
    parts.append("\n".join(f"- {escape_markdown(note)}" for note in notes))
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def _sections(found: Comparison, figures: dict[str, Path]) -> list[tuple[Section, Content]]:
    settings = Content(
        findings=() if found.settings else (SAME,),
        tables=[settings_table(found.labels, found.settings)] if found.settings else (),
        notes=found.scores.notes,
    )
    contents = [("settings", "Different settings", settings)]
    for number, target in enumerate(found.targets):
        rows = found.scores.table[found.scores.table["target"] == target]
        content = Content(
            tables=[scores_table(found.labels, rows)],
            notes=[READING],
            figures=[figures[target]],
        )
        contents.append((f"target-{number}", target, content))
    return [
        (Section(anchor, heading, lambda run: None), content)
        for anchor, heading, content in contents
    ]


def _labels(runs: Sequence[Run]) -> list[str]:
    """Name the runs: by their folders, or by whole paths where these have the same name."""
    names = [run.folder.root.name for run in runs]
    return names if len(set(names)) == len(names) else [str(run.folder.root) for run in runs]
