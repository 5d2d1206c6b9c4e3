"""Lines on a run that several verbs print: its findings, its failures, and the next command."""

import shutil
import sys
from collections.abc import Iterator
from textwrap import wrap

from jobs.storage.regular_files import read_regular
from sweep.commands.names import run_argument, short_path
from sweep.progress.causes import Causes
from sweep.progress.wording import printable
from sweep.results.claims import Claims, read_claims
from sweep.state.control import resume_command, retry_command
from sweep.state.run_folder import RunFolder
from sweep.wording import counted

MOST_FINDINGS = 12
"""Number of sentences that are printed; the rest are counted."""
MOST_CAUSES = 10
"""Number of causes of failures that are printed; the rest are counted."""


def next_steps(folder: RunFolder, *, failed: int = 0, left: int = 0) -> Iterator[str]:
    """Say where the report of a run is, and the next useful command.

    Args:
        folder: the run.
        failed: number of cells that failed.
        left: number of cells that are still to do.
    """
    if failed:
        again = retry_command(folder, run_argument(folder))
        yield f"fix the cause, then run what failed again: {again}"
    if left:
        yield f"{counted(left, 'cell')} still to do; {resume_command(folder)}"
    if folder.report.exists():
        yield f"report: {short_path(folder.report)}"
        yield f"see it: sweep view {run_argument(folder)}"


def print_causes(causes: Causes, terminal: bool) -> None:
    """Print a line for each cause of failures, in red on a terminal."""
    if not causes:
        return
    from rich.console import Console  # most runs have no failures: `sweep status` need not wait
    from rich.text import Text

    console = Console(highlight=False, width=None if terminal else 10_000)
    for cause in list(causes)[:MOST_CAUSES]:
        console.print(Text(f"failed: {cause.line()}", style="red"))
    if len(causes) > MOST_CAUSES:
        print(f"failed: {len(causes) - MOST_CAUSES} more causes, all in events.jsonl")


def find_claims(folder: RunFolder) -> Claims:
    """Read the headlines and findings of the last report; empty if no report exists."""
    if not folder.findings.exists():
        return Claims()
    return read_claims(read_regular(folder.findings).decode(errors="replace"))


def print_findings(folder: RunFolder) -> None:
    """Print the headlines, and the findings in short form, as of the last report."""
    claims = find_claims(folder)
    for sentence in (*claims.headlines, *map(_main_clause, claims.findings[:MOST_FINDINGS])):
        print(_wrapped(printable(sentence)))
    if len(claims.findings) > MOST_FINDINGS:
        print(f"and {len(claims.findings) - MOST_FINDINGS} more, in full: {folder.findings}")


def _wrapped(sentence: str) -> str:
    """Break a sentence between words, on a terminal; in a file it is a line."""
    if not sys.stdout.isatty():
        return sentence
    width = shutil.get_terminal_size().columns
    return "\n".join(wrap(sentence, width, subsequent_indent="  ", break_on_hyphens=False))


def _main_clause(finding: str) -> str:
    """Shorten a finding by the layers that do not differ from the best one."""
    return finding.partition("; ")[0].removesuffix(".") + "."
