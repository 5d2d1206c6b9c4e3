"""Suggestions for misspelt names."""

import difflib
from collections.abc import Sequence


def nearest(name: str, valid: Sequence[str]) -> str:
    """Return the end of an error message: "; did you mean 'x'?", or else the valid names."""
    near = difflib.get_close_matches(name, valid, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; expected one of {', '.join(valid)}" if valid else ""
