"""Differences between the settings of several runs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sweep.results.run import Run
from sweep.spec.flat import flat_values

ABSENT = "–"
"""Stands for a key that a run does not have."""
_IRRELEVANT = ("track", "compute")
"""Keys of a spec that change no number."""
_DIGEST = 12
"""Digits of digests that are shown."""
_NOTHING = {ABSENT, "null", "[]", "{}"}
"""Values that say the same: a key without a value, and none."""
_LONGEST = 80
"""Characters of a value that are shown."""


@dataclass(frozen=True)
class SettingDifference:
    """A setting that is not the same in all runs."""

    key: str
    values: tuple[str, ...]
    """Its value in each run, in their order."""


def setting_differences(runs: Mapping[str, Run]) -> list[SettingDifference]:
    """List the settings, models and data that differ, in the order of the specs."""
    described = [dict(_describe(run)) for run in runs.values()]
    keys = dict.fromkeys(key for values in described for key in values)
    rows = [
        SettingDifference(key, tuple(values.get(key, ABSENT) for values in described))
        for key in keys
    ]
    return [row for row in rows if len(set(row.values)) > 1 and not set(row.values) <= _NOTHING]


def _describe(run: Run) -> Iterator[tuple[str, str]]:
    """Yield what decides the numbers of a run: its spec, and digests of its weights and data."""
    for key, value in flat_values(run.spec.model_dump(mode="json", exclude=set(_IRRELEVANT))):
        yield key, value if len(value) <= _LONGEST else f"{value[: _LONGEST - 1]}…"
    for model in run.plan.models:
        yield f"weights of {model.name}", model.digest[:_DIGEST]
    for target, digest in run.plan.targets.items():
        yield f"values of {target}", digest[:_DIGEST]
    yield "utterances", str(len(run.utterances))
    yield "speakers", str(run.utterances["speaker_id"].nunique())
    sessions = run.provenance.get("runs", [])
    git = sessions[-1].get("git") if sessions else None
    if git:
        yield "revision of the code", git["revision"][:_DIGEST]
