"""Data of the chart over layers: models, targets, metrics, references, and the curves."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from jobs.models.taps import MAIN_PATH
from jobs.statistics.points import DECIDING_SPEAKER
from jobs.targets.registry import target_title
from sweep.report.figures.lines import Line, Twins, baseline_label, line_styles
from sweep.report.figures.scores import (
    Score,
    baselines_in,
    best_position,
    models_in,
    score_of_nothing,
    score_of_speaker_mean,
)
from sweep.report.figures.style import COLOURS
from sweep.report.page_data.encode import rounded
from sweep.report.page_data.metrics import Metric, metrics_of
from sweep.report.tables.cells import by_kind

Widths = Mapping[tuple[str, str], int]
"""(Model, layer) → number of values per utterance."""


def chart_data(
    layers: pd.DataFrame,
    twins: Twins = (),
    widths: Widths | None = None,
    slopes: pd.DataFrame | None = None,
) -> dict[str, Any]:
    """Collect the curves of ``layers.csv``, the models' layers, and the references of each target.

    Args:
        layers: ``layers.csv``, with the rows of points whose cells all failed.
        twins: models and their untrained twins.
        widths: widths of the layers, if they are known.
        slopes: ``tempo.csv``, if there is one.
    """  # fmt: skip
    layers = _with_slopes(layers, slopes)
    names, styles = models_in(layers), line_styles(layers, twins)
    untrained = {twin for _, twin in twins}
    models = [
        _model(layers[layers["model"] == name], styles[name], name in untrained, widths or {})
        for name in names
    ]
    metrics: dict[str, dict[str, Any]] = {}
    targets, curves = [], []
    for kind, of_kind in by_kind(layers):
        for target, rows in of_kind.groupby("target", sort=False, observed=True):
            shown = list(metrics_of(kind, rows))
            if not shown:  # all of its cells failed
                continue
            metrics |= {metric.column: _metric(metric) for metric in shown}
            targets.append(_target(str(target), kind, rows, shown))
            curves += _curves(len(targets) - 1, rows, shown, models)
    order = {str(name): at for at, name in enumerate(layers["target"].unique())}  # the spec's
    return {
        "models": models, "metrics": metrics, "targets": targets, "curves": curves,
        "order": sorted(range(len(targets)), key=lambda at: order[targets[at]["name"]]),
    }  # fmt: skip


def _with_slopes(layers: pd.DataFrame, slopes: pd.DataFrame | None) -> pd.DataFrame:
    """Add the slopes at other tempos as columns, where the run has them."""
    if slopes is None or slopes.empty:
        return layers
    key = ["model", "layer", "target", "probe"]
    places = pd.MultiIndex.from_frame(layers[key].astype(str))
    found = slopes.astype(dict.fromkeys(key, str)).set_index(key).reindex(places)
    columns = ("slope", "slope_low", "slope_high")
    return layers.assign(**{name: found[name].to_numpy() for name in columns})


def _model(rows: pd.DataFrame, style: Line, untrained: bool, widths: Widths) -> dict[str, Any]:
    """A model: its name, colour (a position in the palette, -1 for grey), and layers by depth."""
    name = str(rows["model"].iloc[0])
    taps = rows.drop_duplicates("layer_index").sort_values("layer_index")
    levels = taps["level"] if "level" in taps else ["unspecified"] * len(taps)
    colour, dashes = style
    return {
        "name": name,
        "colour": COLOURS.index(colour) if colour in COLOURS else -1,
        "dashed": dashes != "-",
        "untrained": untrained,
        "layers": [str(layer) for layer in taps["layer"]],
        "index": [int(index) for index in taps["layer_index"]],
        "levels": [str(level) for level in levels],
        "joined": [int(level in MAIN_PATH) for level in levels],
        "widths": [widths.get((name, str(layer))) for layer in taps["layer"]],
    }


def _metric(metric: Metric) -> dict[str, Any]:
    curve = metric.curve
    return {
        "label": curve.label, "meaning": metric.meaning, "higher": curve.high_is_good,
        "decimals": curve.decimals, "nothing": curve.knows_nothing, "cut": curve.worst,
        "relative": bool(curve.nothing),
    }  # fmt: skip


def _target(name: str, kind: str, rows: pd.DataFrame, metrics: Iterable[Metric]) -> dict[str, Any]:
    shown = list(metrics)
    return {
        "name": name,
        "title": target_title(name),
        "kind": kind,
        "metrics": [metric.column for metric in shown],
        "axes": [metric.curve.axis(name) for metric in shown],
        "probes": [str(probe) for probe in rows["probe"].unique()],
        "nothing": _reference(shown, rows, score_of_nothing),
        "speaker": _reference(shown, rows, score_of_speaker_mean),
        "baselines": _baselines(rows, shown),
    }


def _reference(metrics: Iterable[Metric], rows: pd.DataFrame, of: Any) -> dict[str, float | None]:
    values = {metric.column: of(metric.curve, rows) for metric in metrics}
    return {
        name: rounded([value])[0] if value is not None else None for name, value in values.items()
    }


def _baselines(rows: pd.DataFrame, metrics: Iterable[Metric]) -> list[dict[str, Any]]:
    """Scores of the baselines, by probe."""
    found = []
    for name in baselines_in(rows):
        for probe, own in rows[rows["model"] == name].groupby("probe", observed=True):
            scores = {m.column: rounded(own[m.column].head(1))[0] for m in metrics}
            found.append({"label": baseline_label(name), "probe": str(probe), "scores": scores})
    return found


def _curves(
    target: int, rows: pd.DataFrame, metrics: Iterable[Metric], models: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The curves of a target, one per model and probe, their points at positions of the model's
    layers."""
    number = {model["name"]: at for at, model in enumerate(models)}
    shown = rows[rows["model"].astype(str).isin(list(number))]
    found = []
    for key, of_curve in shown.groupby(["model", "probe"], sort=False, observed=True):
        model, probe = map(str, key)
        curve = of_curve.sort_values("layer_index").reset_index(drop=True)
        at = {index: position for position, index in enumerate(models[number[model]]["index"])}
        found.append(
            {
                "m": number[model], "t": target, "p": probe,
                "at": _shortest([at[index] for index in curve["layer_index"]]),
                "n": _constant(curve["n_test"]), "s": _constant(curve["n_speakers"]),
                "lacking": _lacking(curve), "decided": _decided(curve),
                "over": _interval_over(curve),
                "best": {m.column: _best(m.curve, curve) for m in metrics},
                "v": {m.column: _values(m.column, curve) for m in metrics},
            }
        )  # fmt: skip
    return found


def _interval_over(curve: pd.DataFrame) -> str:
    """The units of the intervals of a curve: speakers, or folds."""
    units = set(curve["interval_over"].dropna()) if "interval_over" in curve else set()
    return " or ".join(sorted(map(str, units)))


def _best(curve: Score, rows: pd.DataFrame) -> int | None:
    if rows[curve.column].isna().all():
        return None
    return best_position(curve, rows)


def _values(column: str, curve: pd.DataFrame) -> list[list[float | None]]:
    """The values of a column and, where it has an interval, its ends."""
    ends = [name for name in (f"{column}_low", f"{column}_high") if name in curve]
    columns = [column, *ends] if len(ends) == 2 and curve[ends[0]].notna().any() else [column]
    return [rounded(curve[name].astype(float)) for name in columns]


def _shortest(positions: list[int]) -> int | list[int]:
    """The number of positions if they are 0, 1, 2, …, else the positions."""
    return len(positions) if positions == list(range(len(positions))) else positions


def _constant(values: "pd.Series[Any]") -> int | list[int | None] | None:
    """One number if all are equal, else all."""
    numbers = [int(value) if np.isfinite(value) else None for value in values.astype(float)]
    return numbers[0] if len(set(numbers)) == 1 else numbers


def _lacking(curve: pd.DataFrame) -> dict[str, str]:
    """Position → how many of the planned cells a point has, for those that lack some."""
    lacking = curve[(curve["missing"] > 0) | (curve["missing_control"] > 0)]
    return {
        str(at): f"{row['cells']} of {row['cells'] + row['missing']} cells"
        for at, row in zip(lacking.index, lacking.to_dict("records"), strict=True)
    }


def _decided(curve: pd.DataFrame) -> dict[str, str]:
    """Position → the speaker who decides the score of a point, for those with such a speaker."""
    names: Iterable[Any] = curve.get(DECIDING_SPEAKER, [])
    return {str(at): str(name) for at, name in enumerate(names) if isinstance(name, str) and name}
