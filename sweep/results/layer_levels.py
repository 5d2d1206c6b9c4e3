"""The place of each layer in its network, as a column of the table of layers."""

import pandas as pd

from sweep.plan.plan import Plan


def with_levels(layers: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    """Return ``layers`` with the column ``level``, see `jobs.models.taps.TapLevel`."""
    levels = {
        (model.name, layer.name): layer.level for model in plan.models for layer in model.layers
    }
    places = zip(layers["model"], layers["layer"], strict=True)
    layers = layers.copy()
    layers.insert(3, "level", [levels[place] for place in places])
    return layers
