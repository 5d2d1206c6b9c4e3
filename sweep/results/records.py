"""The records of a run: what can be read without pandas, for verbs that answer at once."""

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from jobs.storage.location import LocationError, parse_location
from jobs.storage.object_store import exists
from jobs.storage.regular_files import read_regular
from sweep.errors import RunError, describe_os_error
from sweep.plan.plan import Plan, layer_tasks
from sweep.state.ledger import LedgerLines, Record
from sweep.state.mirror import fetch, fetch_records
from sweep.state.provenance_file import read_provenance
from sweep.state.run_folder import RunFolder, run_folder
from sweep.state.stored_plan import check_unchanged, read_plan

if TYPE_CHECKING:
    from sweep.spec.schema import Spec

log = logging.getLogger(__name__)

_MOST_NAMED = 5
"""Number of damaged lines that are named; the rest are counted."""

Parsed = TypeVar("Parsed")


class RunRecords:
    """A run's spec, plan, provenance and ledger, each read on first use."""

    _needs_results: ClassVar[bool] = False
    """True to copy the files that jobs and reports wrote, too, if the run is at a URL."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder

    def __repr__(self) -> str:
        done = sum(record.status == "done" for record in self.records.values())
        counts = (("model", self.plan.models), ("target", self.plan.targets),
                  ("probe", self.plan.probes))  # fmt: skip
        shown = ", ".join(f"{len(them)} {name}{'s' * (len(them) != 1)}" for name, them in counts)
        return f"Run({str(self.folder.root)!r}: {shown}, {done} of {self.plan.n_cells} cells done)"

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open the run at ``path``, a folder or a URL; the local copy of a URL is updated.

        Raises:
            RunError: there is no run at ``path``.
        """
        try:
            place = parse_location(path)
        except LocationError as error:
            raise RunError(str(error)) from None
        folder = RunFolder(place) if isinstance(place, Path) else run_folder(place)
        if not exists(folder.for_jobs(folder.plan)) and not folder.plan.exists():
            raise RunError(
                f"{path} is not a run: expected {folder.plan.name} in it; give the folder of a run "
                "that was started with `sweep run`, such as results/demo"
            )
        return cls(fetch(folder) if cls._needs_results else fetch_records(folder))

    @cached_property
    def spec(self) -> "Spec":
        """The resolved spec."""
        from jobs.yaml_reader import read_yaml  # `sweep status` does not need it
        from sweep.spec.schema import Spec

        def read(path: Path) -> Spec:
            _, values = read_yaml(read_regular(path).decode())
            spec = Spec.model_validate(values)
            check_unchanged(self.folder, path.name)
            return spec

        return self._read(self.folder.spec, read)

    @cached_property
    def plan(self) -> Plan:
        """Everything that the run consists of."""
        return self._read(self.folder.plan, lambda _: read_plan(self.folder).plan)

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """Provenance of the results: code, packages, hardware and digests."""
        return self._read(self.folder.provenance, read_provenance)

    @property
    def cache(self) -> str:
        """The activation cache of its last session.

        Raises:
            RunError: none is recorded.
        """
        if "cache" not in self.provenance:
            raise RunError(f"{self.folder.provenance} names no cache: run the spec again")
        return str(self.provenance["cache"])

    @cached_property
    def records(self) -> dict[str, Record]:
        """The planned cells that are finished, done or failed, by cell id, in plan order.

        Names are not part of an id: a record gets the present names of its model and probe.
        Damaged lines are logged as warnings, see ``damaged``.
        """
        return {
            cell.cell_id: replace(found[0], model=task.model.name, probe=cell.probe)
            for task in layer_tasks(self.plan)
            for cell in task.cells
            if (found := self._lines[0].get(cell.cell_id))
        }

    @property
    def damaged(self) -> list[str]:
        """The lines of the ledger that cannot be read; their cells are missing in ``records``."""
        return self._lines[1]

    @cached_property
    def _lines(self) -> tuple[dict[str, tuple[Record, bool]], list[str]]:
        """The last record of every cell with whether its line had a checksum, and damaged lines."""
        lines = LedgerLines(self.folder.ledger)
        found = {record.cell_id: (record, has_sum) for record, has_sum in lines.checked()}
        for line in lines.damaged[:_MOST_NAMED]:
            log.warning("%s: %s; run the spec again", self.folder.ledger, line)
        if len(lines.damaged) > _MOST_NAMED:
            log.warning("%s: %d damaged lines in all", self.folder.ledger, len(lines.damaged))
        if lines.n_unchecked:
            log.warning(
                "%s: %d lines were written before there were checksums; they are used as they are",
                self.folder.ledger, lines.n_unchecked,
            )  # fmt: skip
        return found, lines.damaged

    @staticmethod
    def _read(
        path: Path, read: Callable[[Path], Parsed], passed: type[Exception] = RunError
    ) -> Parsed:
        """Read a file of the run; ``passed`` is an error of ``read`` that explains itself.

        Raises:
            RunError: it is missing, unreadable or damaged.
        """
        try:
            return read(path)
        except FileNotFoundError:
            raise RunError(
                f"{path} cannot be read (it is missing); run its spec again to write it anew"
            ) from None
        except OSError as error:
            raise RunError(describe_os_error(error)) from error
        except passed:
            raise
        except (ValueError, TypeError, RecursionError) as error:
            first = next(iter(str(error).splitlines()), "")
            raise RunError(
                f"{path} cannot be read as this version writes it ({type(error).__name__}: "
                f"{first}); run its spec again to bring it up to date"
            ) from error
