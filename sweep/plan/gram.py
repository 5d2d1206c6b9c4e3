"""Locations of the statistics of ``store: gram``."""

from jobs.gram.fit import GramSets
from jobs.storage.location import Location
from sweep.plan.plan import PlannedModel


def gram_sets(model: PlannedModel, cache: Location) -> GramSets | None:
    """Return the locations of a model's statistics, or None if it has none."""
    sets = [planned for planned in model.sets if planned.gram is not None]
    if not sets or sets[0].gram is None:
        return None
    units = {planned.unit: (planned.folder(cache), planned.n_shards) for planned in sets}
    return GramSets(sets[0].gram, tuple(units[number] for number in range(len(units))))
