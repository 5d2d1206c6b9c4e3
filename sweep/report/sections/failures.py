"""Failed cells: one row per model and error, and how to try them again."""

from sweep.report.section import Content, Document, Section
from sweep.report.tables.cells import number, text
from sweep.report.tables.markup import Table
from sweep.results.run import Run
from sweep.state.ledger import Record
from sweep.wording import listed

NAMED = 4
"""Number of layers, targets or probes of a failure that are named; of more, the ends."""


def _render(run: Run) -> Content | None:
    failed = [record for record in run.records.values() if record.status == "failed"]
    if not failed:
        return None
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in failed:
        groups.setdefault((record.model, record.error or ""), []).append(record)
    rows = tuple(
        (
            text(model), text(_named([record.layer for record in records])),
            text(_named([record.target for record in records])),
            text(_named([record.probe for record in records])),
            number(len(records), 0), text(error),
        )
        for (model, error), records in groups.items()
    )  # fmt: skip
    header = ("Model", "Layers", "Targets", "Probes", "Cells", "Error")
    return Content(
        tables=[Table(header, (False, False, False, False, True, False), rows)],
        documents=[Document("Try them again", f"sweep retry {run.folder.root.name}")],
    )


def _named(names: list[str]) -> str:
    different = list(dict.fromkeys(names))
    if len(different) <= NAMED:
        return listed(different)
    return f"{len(different)} from {different[0]} to {different[-1]}"


SECTION = Section("failures", "Failures", _render)
