"""Names of specs and runs on the command line: found, completed by the shell, and corrected."""

import shlex
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from sweep.state.run_folder import RunFolder

SPECS = Path("specs")
RUNS = Path("results")


def find_spec(path: Path) -> Path:
    """Return the spec that a name stands for: the file, or NAME.yaml here or in ``specs``.

    Raises:
        typer.BadParameter: there is none, but one of a similar name.
    """
    if _exists(path):
        return path
    if len(path.parts) == 1 and not path.suffix:
        for candidate in (Path(f"{path}.yaml"), SPECS / f"{path}.yaml"):
            if _exists(candidate):
                return candidate
    near = get_close_matches(path.stem, [spec.stem for spec in _specs()], n=1)
    if near:
        found = next(spec for spec in _specs() if spec.stem == near[0])
        raise typer.BadParameter(f"no spec {str(path)!r}; did you mean {str(found)!r}?")
    return path


def find_run(text: str) -> str:
    """Return the run that a name stands for: a folder or URL as it is, or NAME in ``results``.

    Raises:
        typer.BadParameter: there is none, but one of a similar name.
    """
    if "://" in text or _exists(Path(text)):
        return text
    if text.strip() and len(Path(text).parts) == 1 and _exists(RUNS / text):
        return str(RUNS / text)
    near = get_close_matches(Path(text).name, [run.name for run in _runs()], n=1)
    if near:
        raise typer.BadParameter(f"no run {text!r}; did you mean {str(RUNS / near[0])!r}?")
    return text


def run_argument(folder: "RunFolder") -> str:
    """Return how a run is named in a command that is typed here: by its name, folder or URL."""
    if folder.remote is not None:
        return shlex.quote(str(folder.remote))
    path = short_path(folder.root)
    is_name = path.parent == RUNS and not _exists(Path(path.name))
    return shlex.quote(path.name if is_name else str(path))


def short_path(path: Path) -> Path:
    """Return a path relative to the working directory, if it is below that."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def complete_specs(incomplete: str) -> list[str]:
    """Specs here and in ``specs`` that begin so, for the shell."""
    return [str(spec) for spec in _specs() if str(spec).startswith(incomplete)]


def complete_runs(incomplete: str) -> list[str]:
    """Runs in ``results`` that begin so, for the shell."""
    return [str(run) for run in _runs() if str(run).startswith(incomplete)]


def _specs() -> list[Path]:
    return [*_sorted(Path(), "*.yaml"), *_sorted(SPECS, "*.yaml")]


def _runs() -> list[Path]:
    return [plan.parent for plan in _sorted(RUNS, "*/plan.json")]


def _sorted(folder: Path, pattern: str) -> Iterator[Path]:
    try:
        return iter(sorted(folder.glob(pattern)))
    except OSError:  # a folder of somebody else's
        return iter(())


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name too long, or with NUL
        return False
