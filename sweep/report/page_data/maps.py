"""Maps of embeddings: the test utterances on the first two principal components of a last layer."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from jobs.activations.manifest import CorruptShard
from jobs.models.settings import BASELINE_PREFIX
from jobs.storage.location import parse_location
from sweep.plan.plan import PlannedModel
from sweep.report.page_data.encode import packed, rounded
from sweep.results.run import Run

log = logging.getLogger(__name__)

MOST_POINTS = 300
"""Utterances of a map."""
MOST_BYTES = 2**28
"""Largest layer that is read for a map."""
FEWEST_POINTS = 4


def embedding_maps(run: Run) -> dict[str, Any]:
    """Make a map of the last layer of each model, where its activations are on this machine.

    Returns:
        ``ids`` of the utterances, their ``speaker``, the ``values`` of every target, and by model
        the map's ``layer``, ``share`` of the variance and packed ``x`` and ``y``.
    """
    shown = _shown_utterances(run)
    maps = {}
    for model in run.plan.models:
        if model.name.startswith(BASELINE_PREFIX) or not shown:
            continue
        points = _points(run, model, shown)
        if points is not None:
            maps[model.name] = {"layer": model.layers[-1].name, **points}
    if not maps:
        return {"models": {}}
    labels = run.utterances.set_index("utterance_id").loc[shown]
    values = {
        target: [str(name) for name in labels[target]]
        if target in run.plan.classes
        else rounded(labels[target].astype(float))
        for target in run.plan.targets
    }
    speakers = [str(name) for name in labels["speaker_id"]]
    return {"ids": shown, "speaker": speakers, "values": values, "models": maps}


def _shown_utterances(run: Run) -> list[str]:
    """Choose among the tested utterances evenly, sorted by speaker."""
    if run.plan.scored_by_sums:
        return []
    tested: set[str] = set()
    seen: set[tuple[str, int]] = set()
    for record in run.records.values():
        if record.status == "done" and (record.target, record.fold) not in seen:
            seen.add((record.target, record.fold))
            tested.update(run.cell_predictions(record.cell_id).utterance_id.tolist())
    names = sorted(tested, key=lambda name: (run.speakers[name], name))
    if len(names) <= MOST_POINTS:
        return names
    return [names[at] for at in np.linspace(0, len(names) - 1, MOST_POINTS).round().astype(int)]


def _points(run: Run, model: PlannedModel, shown: list[str]) -> dict[str, Any] | None:
    """The map of a model's last layer; None without its activations, or with too few of them."""
    layer = model.layers[-1]
    size = sum(planned.n_utterances for planned in model.stored_sets) * layer.width * 4
    if not model.stored_sets or not size or size > MOST_BYTES or "cache" not in run.provenance:
        return None
    if not isinstance(parse_location(run.cache), Path):  # a map is not worth the traffic
        return None
    try:
        ids, values_UD = run.activations(model.name, layer.name)
    except CorruptShard as error:
        log.info("no map of the embedding of %s: %s", model.name, error)
        return None
    row_of = {name: row for row, name in enumerate(ids)}
    rows = [row_of.get(name, -1) for name in shown]
    known = np.array(rows) >= 0
    chosen_UD = values_UD[[row for row in rows if row >= 0]].astype(np.float64)
    if len(chosen_UD) < FEWEST_POINTS or layer.width < 2 or not np.isfinite(chosen_UD).all():
        return None
    places, share = _principal(chosen_UD)
    x, y = (np.full(len(shown), np.nan) for _ in range(2))
    x[known], y[known] = places
    limit = float(np.abs(places).max())
    return {
        "share": rounded(share, 3),
        "x": packed(x, -limit, limit),
        "y": packed(y, -limit, limit),
    }


def _principal(
    values_UD: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Project (U, D) on the first two principal components: (2, U), and (2,) share of variance.

    The sign of a component is arbitrary; its largest loading is made positive.
    """
    centred_UD = values_UD - values_UD.mean(axis=0)
    u, scale, loadings = np.linalg.svd(centred_UD, full_matrices=False)
    largest = np.abs(loadings[:2]).argmax(axis=1)
    signs = np.sign(loadings[[0, 1], largest])
    total = float((scale**2).sum()) or 1.0
    return (u[:, :2] * scale[:2] * signs).T, scale[:2] ** 2 / total
