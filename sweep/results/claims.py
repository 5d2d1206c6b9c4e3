"""The headlines and findings of a run, and the text file that keeps them."""

from dataclasses import dataclass

_BETWEEN = "\n\n"
"""Separator of headlines and findings."""


@dataclass(frozen=True)
class Claims:
    """Sentences about the results of a run."""

    headlines: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()


def claims_text(claims: Claims) -> str:
    """Contents of ``findings.txt``: a line per sentence, headlines above an empty line."""
    parts = ("\n".join(map(_one_line, part)) for part in (claims.headlines, claims.findings))
    return f"{_BETWEEN.join(parts)}\n"


def read_claims(text: str) -> Claims:
    """Read the contents of ``findings.txt``."""
    first, between, rest = text.partition(_BETWEEN)
    parts = (first, rest) if between else ("", first)
    return Claims(*(tuple(filter(None, part.splitlines())) for part in parts))


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)
