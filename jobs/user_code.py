"""Errors of code that users bring: the line that raised them, and calls of ``sys.exit``."""

import signal
import sys
import sysconfig
import traceback
from pathlib import Path
from typing import Any

from jobs.job import Job, Worker

_OURS = Path(__file__).parents[1]
_LIBRARIES = tuple(
    {sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)


class ExitCalledError(RuntimeError):
    """Code that a job ran called ``sys.exit``, which would end the process as if all were done."""


def described(error: BaseException) -> str:
    """Return the type and the message of an error, and the line of the user's code, if any:
    ``ModuleNotFoundError: No module named 'nets' (my_models.py:3, in build)``."""
    if isinstance(error, SystemExit):
        message = f"it called sys.exit({error.code!r})"
    else:
        message = f"{type(error).__name__}: {error}".rstrip(": ")
    place = user_line(error)
    return f"{message} ({place})" if place else message


def user_line(error: BaseException) -> str | None:
    """Return ``file:line, in function`` of the innermost frame that is neither this project's nor a
    library's; None if there is none."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        file = frame.filename
        library = file.startswith(_LIBRARIES) or "site-packages" in file or file.startswith("<")
        if not library and not _is_ours(file):
            function = "" if frame.name.startswith("<") else f", in {frame.name}"
            return f"{Path(file).name}:{frame.lineno}{function}"
    return None


def _is_ours(file: str) -> bool:
    return any(Path(file).is_relative_to(_OURS / name) for name in ("jobs", "sweep"))


def run_job(job: Job, worker: Worker) -> Any:
    """Run a job; what it raises gets a note with the line of the user's code.

    Raises:
        ExitCalledError: code that it runs called ``sys.exit``.
    """
    try:
        return job.run(worker)
    except SystemExit as error:
        if error.code == signal.SIGTERM:  # raised by Ray's handler of that signal
            raise
        raise ExitCalledError(described(error)) from error
    except Exception as error:
        place = user_line(error)
        if place is not None:
            error.add_note(place)
        raise _portable(error) from error


def _portable(error: Exception) -> Exception:
    """Return an error that another process can unpickle: one of a user's class is described."""
    package = type(error).__module__.partition(".")[0]
    known = package in sys.stdlib_module_names or package in ("jobs", "sweep", "torch", "numpy")
    return error if known else RuntimeError(described(error))
