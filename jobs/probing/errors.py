"""Errors as one line, for the results of cells."""

import traceback
from pathlib import Path


def error_line(error: BaseException) -> str:
    """Format the type, message and place of ``error`` as one line."""
    message = " ".join(traceback.format_exception_only(error)[-1].split())
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{message} ({Path(frame.filename).name}:{frame.lineno}, in {frame.name})"
