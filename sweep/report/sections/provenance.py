"""Provenance of the numbers: the command, the spec, code, machine, packages and inputs."""

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from sweep.report.section import Content, Document, Section
from sweep.report.tables.cells import number, text
from sweep.report.tables.markup import Table
from sweep.results.run import Run


def content(provenance: Mapping[str, Any], spec: str = "") -> Content:
    """Show the last session in short, the spec, and all of ``provenance.json``, folded.

    Args:
        provenance: ``provenance.json``.
        spec: ``spec.yaml``; "": not shown.
    """
    sessions = provenance.get("runs") or [{}]
    last: Mapping[str, Any] = sessions[-1]
    arguments = [str(word) for word in last.get("arguments", [])]
    command = [Document("Command", shlex.join(["sweep", *arguments]))] if arguments else []
    everything = json.dumps(provenance, indent=1, ensure_ascii=False)
    return Content(
        records=list(_session(last)),
        tables=[table for table in (_models(provenance), _packages(last)) if table.rows],
        documents=[
            *command,
            *([Document("spec.yaml, resolved", spec)] if spec else []),
            Document("provenance.json", everything, folded=True),
        ],
    )


def _session(session: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Describe where and with which code the last session ran."""
    git = session.get("git") or {}
    if git.get("revision"):
        changed = ", with uncommitted changes" if git.get("dirty") else ""
        yield "Code", f"revision {git['revision']}{changed}"
    hardware = session.get("hardware") or {}
    if hardware:
        names = [hardware.get("processor"), hardware.get("platform"), *hardware.get("gpus", [])]
        yield "Machine", ", ".join(str(name) for name in names if name)
    for name in ("python", "executor", "started"):
        if session.get(name):
            yield name.capitalize(), str(session[name])


def _models(provenance: Mapping[str, Any]) -> Table:
    models = provenance.get("models") or {}
    rows = [
        (
            text(name), text(one.get("architecture", "")), number(one.get("parameters"), 0),
            text(str(one.get("weights", ""))[:16]),
        )
        for name, one in models.items()
    ]  # fmt: skip
    header = ("Model", "Architecture", "Parameters", "Digest of the weights")
    return Table(header, (False, False, True, False), tuple(rows))


def _packages(session: Mapping[str, Any]) -> Table:
    packages = session.get("packages") or {}
    rows = [(text(name), text(version)) for name, version in packages.items()]
    return Table(("Package", "Version"), (False, False), tuple(rows))


def _render(run: Run) -> Content:
    return content(run.provenance, run.folder.spec.read_text())


SECTION = Section("provenance", "Provenance", _render)
