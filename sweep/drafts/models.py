"""The models of a draft: those that a user names, each trained one with an untrained twin."""

from collections.abc import Sequence
from pathlib import PurePath

from jobs.models import settings_from_name
from jobs.models.wespeaker.architectures import unknown_architecture
from sweep.drafts.draft import Values
from sweep.errors import UsageError

INCLUDED = "demo_samresnet34"
"""Checkpoint that comes with this project."""


def _expected(name: str) -> str:
    if "/" in name:  # a folder, or a name at a hub
        return (
            "expected a checkpoint folder, or the name of a model of the transformers library that "
            f"is in Hugging Face's cache; fetch it with: hf download {name}"
        )
    return (
        "expected a checkpoint folder, the name of a fetched checkpoint, or an architecture; "
        f"{unknown_architecture(name)}"
    )


def draft_models(names: Sequence[str]) -> list[Values]:
    """Return the entries of the section ``models``.

    Args:
        names: checkpoint folders, names of fetched checkpoints, architectures, or names in Hugging
            Face's cache; empty: the checkpoint that comes with this project.

    Raises:
        UsageError: a name is none of these.
    """
    entries: list[Values] = []
    for name in names or (INCLUDED,):
        found = settings_from_name(name)
        if found is None:
            raise UsageError(f"no model {name!r}: {_expected(name)}")
        settings = found.model_dump(mode="json", exclude_unset=True, exclude={"name", "kind"})
        entry = {"name": PurePath(name).name, "kind": found.kind, **settings}
        entries.append(entry)
        if "checkpoint" in settings:
            twin = {"name": f"{entry['name']} untrained", "untrained": True, "seed": 0}
            entries.append({**entry, **twin})
    return entries
