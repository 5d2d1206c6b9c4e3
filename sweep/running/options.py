"""Options of a run from the command line, in addition to the spec."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from jobs.storage.location import Location
from sweep.state.run_folder import DEFAULT_CACHE


@dataclass(frozen=True)
class RunOptions:
    """Options of a run, none of which changes a number."""

    where: str = "local"
    """Name of an executor (``sweep.executors.registry.EXECUTORS``)."""
    address: str | None = None
    """Address of the cluster."""
    out: Location | None = None
    cache: Location = DEFAULT_CACHE
    overrides: Sequence[str] = ()
    """``KEY=VALUE`` assignments to the spec."""
    only: str | None = None
    """Glob over ``model/layer/probe`` that selects the work."""
    fail_fast: bool = False
    fresh: bool = False
    """Forget the run's ledger."""
    only_failed: bool = False
    """Work only on the cells that failed."""
    unlock: bool = False
    """Take the run over from a driver on another machine that shows no sign of life."""
    arguments: Sequence[str] = field(default=())
    """The command line, for provenance."""
