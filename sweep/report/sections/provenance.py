"""Provenance of the numbers: code, machine, packages, inputs."""

import json
from collections.abc import Mapping

from sweep.report.section import Content, Section
from sweep.results.run import Run


def content(provenance: Mapping[str, object]) -> Content:
    """Every key of ``provenance.json``, its value as text or indented JSON."""
    return Content(records=[(key, _text(value)) for key, value in provenance.items()])


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, indent=1, ensure_ascii=False)


def _render(run: Run) -> Content:
    return content(run.provenance)


SECTION = Section("provenance", "Provenance", _render)
