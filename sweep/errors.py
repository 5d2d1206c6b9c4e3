"""Errors that a user sees, each with its exit code."""

import os
import pwd
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from jobs.secrets import without_secrets
from jobs.storage.atomic import DISK_FULL


class ClusterError(RuntimeError):
    """The cluster cannot run this: not reachable, or without what the spec asks for."""

    EXIT_CODE = 3

    def __init__(self, message: str) -> None:
        super().__init__(without_secrets(message))


class RunError(ValueError):
    """A folder that is not a run, or a question that the run has no answer to."""


class UsageError(ValueError):
    """A value on the command line that does not make sense; the message says what would."""


class RunIsLocked(RuntimeError):  # noqa: N818 - a state of the run, as FileExistsError is one
    """Another driver works on the run."""


class GcError(ValueError):
    """Nothing was deleted, because it is not known what runs still need; the message says why."""


class SubmitError(RuntimeError):
    """Nothing was submitted: the command line or this installation does not allow it."""


REASON_LENGTH = 300
"""Characters of an error in a table; the log has all of it."""
_MESSAGE_LENGTH = 1500
"""Characters; a value that is quoted can be a whole file."""


@dataclass(frozen=True, order=True)
class Problem:
    """One thing wrong with a spec, and where."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        """On one line, whatever the values were that the message quotes."""
        message = self.message
        if len(message) > _MESSAGE_LENGTH:
            message = f"{message[:_MESSAGE_LENGTH]} …"
        place = f"{self.file}:{self.line}:{self.column}"
        return "".join(c if c.isprintable() else "�" for c in f"{place}: {message}")


class SpecError(ValueError):
    """Everything that is wrong with a spec, at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = sorted(set(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


def reason(error: BaseException | None) -> str:
    """An error in one line, for a table or a log.

    Ray quotes the traceback of a worker between escape codes: its last line is the error. The line
    of the user's code is added where `jobs.user_code.run_job` has noted it.
    """
    text = _ESCAPES.sub("", without_secrets(str(error))).strip()
    lines = [line.strip() for line in text.splitlines()]
    places = _FRAME.findall(text)
    if places:
        file, number, function = places[-1]
        inside = f", in {function}" if function else ""
        message = f"{lines[-1]} ({PurePath(file).name}:{number}{inside})"
    else:
        message = lines[0] if lines else ""
    first = textwrap.shorten(message, REASON_LENGTH, placeholder=" …")
    notes = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
    return f"{type(error).__name__}: {first}".rstrip(": ") + notes


_ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_FRAME = re.compile(r'^ *File "([^"\n]+)", line (\d+)(?:, in (\w+))?', re.MULTILINE)
_VALUES = re.compile(r"'[^']*'|\"[^\"]*\"|[-+]?\d(?:[eE][-+](?=\d)|[\w.])*")


def pattern(reason: str) -> str:
    """Reduce a reason to what equal mistakes have in common: without quoted names and numbers."""
    return _VALUES.sub("…", reason)


def describe_os_error(error: OSError) -> str:
    """Describe an error of the storage, and how to proceed, in one line."""
    if error.strerror is None or not isinstance(error.filename, str | os.PathLike):
        text = without_secrets(str(error)) or type(error).__name__
    else:
        text = without_secrets(f"{os.fspath(error.filename)}: {error.strerror}")
    if error.errno in DISK_FULL:
        text += "; make room and repeat the command: what is finished is kept"
    elif isinstance(error, PermissionError):
        text += f"; it is not yours to read or to change{_owner(error.filename)}"
    return text


def _owner(place: object) -> str:
    """Name the owner of a file, or of the closest folder above it that can be seen."""
    if not isinstance(place, str):
        return ""
    for path in (Path(place), *Path(place).absolute().parents):
        try:
            found = path.stat().st_uid
        except OSError:
            continue
        try:
            name = pwd.getpwuid(found).pw_name
        except KeyError:
            name = f"user {found}"
        return f": {path} belongs to {name}, who can allow it, or choose another folder"
    return ""
