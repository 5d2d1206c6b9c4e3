"""The models of a draft: those that a user names, each trained one with an untrained twin."""

from collections.abc import Sequence
from pathlib import PurePath

from jobs.models import settings_from_name
from jobs.models.wespeaker.architectures import unknown_architecture
from sweep.drafts.draft import Values
from sweep.errors import UsageError

INCLUDED = "demo_samresnet34"
"""Checkpoint that comes with this project."""


def draft_models(names: Sequence[str]) -> list[Values]:
    """Return the entries of the section ``models``.

    Args:
        names: checkpoint folders, names of fetched checkpoints, or architectures; empty: the
            checkpoint that comes with this project.

    Raises:
        UsageError: a name is none of these.
    """
    entries: list[Values] = []
    for name in names or (INCLUDED,):
        found = settings_from_name(name)
        if found is None:
            raise UsageError(
                f"no model {name!r}: expected a checkpoint folder, the name of a fetched "
                f"checkpoint, or an architecture; {unknown_architecture(name)}"
            )
        settings = found.model_dump(mode="json", exclude_unset=True, exclude={"name", "kind"})
        entry = {"name": PurePath(name).name, "kind": found.kind, **settings}
        entries.append(entry)
        if "checkpoint" in settings:
            twin = {"name": f"{entry['name']} untrained", "untrained": True, "seed": 0}
            entries.append({**entry, **twin})
    return entries
