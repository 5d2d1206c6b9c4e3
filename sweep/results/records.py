"""The records of a run: what can be read without pandas, for verbs that answer at once."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self, TypeVar

import yaml

from jobs.storage.location import LocationError, parse_location
from sweep.errors import RunError
from sweep.plan.plan import Plan, layer_tasks
from sweep.spec.schema import Spec
from sweep.state.ledger import Record, read_records
from sweep.state.mirror import fetch
from sweep.state.run_folder import RunFolder, run_folder

Parsed = TypeVar("Parsed")


class RunRecords:
    """A run's spec, plan, provenance and ledger, each read on first use."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder

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
        folder = RunFolder(place) if isinstance(place, Path) else fetch(run_folder(place))
        if not folder.plan.exists():
            raise RunError(
                f"{path} is not a run: expected {folder.plan.name} in it; give the folder of a run "
                "that was started with `sweep run`, such as results/demo"
            )
        return cls(folder)

    @cached_property
    def spec(self) -> Spec:
        """The resolved spec."""
        return self._parse(self.folder.spec, lambda text: Spec.model_validate(yaml.safe_load(text)))

    @cached_property
    def plan(self) -> Plan:
        """Everything that the run consists of."""
        return self._parse(self.folder.plan, Plan.model_validate_json)

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """Provenance of the results: code, packages, hardware and digests."""
        values: dict[str, Any] = json.loads(self.folder.provenance.read_text())
        return values

    @cached_property
    def records(self) -> dict[str, Record]:
        """The planned cells that are finished, done or failed, by cell id, in plan order.

        Names are not part of an id: a record gets the present names of its model and probe.
        """
        found, _ = read_records(self.folder.ledger)
        return {
            cell.cell_id: replace(found[cell.cell_id], model=task.model.name, probe=cell.probe)
            for task in layer_tasks(self.plan)
            for cell in task.cells
            if cell.cell_id in found
        }

    @staticmethod
    def _parse(path: Path, parse: Callable[[str], Parsed]) -> Parsed:
        try:
            return parse(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise RunError(
                f"{path} cannot be read as this version writes it ({type(error).__name__}: "
                f"{str(error).splitlines()[0]}); run its spec again to bring it up to date"
            ) from error
