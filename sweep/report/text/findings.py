"""Findings: what the statistics support about each model, and about models against each other.

Each statement has its own test, and none depends on another's: whether *some layer* is above
knowing nothing (Holm's correction over layers), *which layer is best* (the set of layers that are
not distinguishable from the peak), *how high* it is (the selection-corrected score with its
interval), *trained against untrained* and *model against model* (paired differences).
"""

from collections.abc import Iterator, Sequence

import pandas as pd

from jobs.models.settings import BASELINE_PREFIX
from jobs.statistics.difference_table import LAYER_BEST, LAYER_NOTHING, MODELS, TRAINED
from jobs.statistics.points import DECIDING_SPEAKER, FOLDS, WITHOUT_SPEAKER
from jobs.statistics.scores import MAIN_SCORE
from sweep.report.tables.cells import Row, several
from sweep.report.text import phrases


def findings(layers: pd.DataFrame, models: pd.DataFrame, differences: pd.DataFrame) -> list[str]:
    """Write one sentence per model, target and probe, and one per comparison of models.

    Baselines have a sentence only where they are compared with models.

    Args:
        layers: ``layers.csv``.
        models: ``models.csv``, whose order the sentences follow.
        differences: ``differences.csv``.
    """
    scored = layers[layers["cells"] > 0].sort_values("layer_index", kind="stable")
    curves = dict(list(scored.groupby(["model", "target", "probe"], observed=True)))
    of_layers = differences[differences["comparison"].isin([LAYER_NOTHING, LAYER_BEST])]
    compared = dict(list(of_layers.groupby(["model_a", "target", "probe"], observed=True)))
    tested = phrases.tested(differences)
    probed = models[models["probe"] != ""]
    found = []
    for row in probed.to_dict("records"):
        key = row["model"], row["target"], row["probe"]
        if not key[0].startswith(BASELINE_PREFIX) and key in compared:
            who = [key[0], *_of_target(probed, row)]
            found.append(f"{', '.join(who)}: {_finding(row, compared[key], curves[key])}.")
    for _, of_probe in probed.groupby(["target", "probe"], sort=False, observed=True):
        found += _between_models(probed, of_probe, tested)
    return found


def _of_target(models: pd.DataFrame, row: Row) -> list[str]:
    """Probe and target of a sentence, where there are several."""
    probes = models.loc[models["target"] == row["target"], "probe"].nunique()
    return [str(row["probe"])] * (probes > 1) + [str(row["target"])] * several(models)


def _finding(row: Row, compared: pd.DataFrame, curve: pd.DataFrame) -> str:
    nothing = phrases.nothing_of(row["target_kind"])
    score = phrases.score_name(row["target_kind"])
    tests = compared[compared["comparison"] == LAYER_NOTHING]
    value = phrases.estimate(row, f"best_{MAIN_SCORE[row['target_kind']]}_honest")
    if tests["p_holm"].isna().all():
        units = "folds" if row["interval_over"] == FOLDS else "speakers"
        return f"too few {units} for a test against the {nothing}, best {row['best_layer']}, " + (
            f"{score} {value}" if len(tests) == 1 else f"selection-corrected {score} {value}"
        )
    best = str(row["best_layer"])
    peak = best + _decided(curve[curve["layer"] == best].iloc[0].to_dict())
    if len(tests) == 1:
        test = tests.iloc[0].to_dict()
        side = "above" if test["difference"] > 0 else "below"
        verb = f"is {side}" if phrases.clear(test) else "is not clearly above"
        return f"{peak} {verb} the {nothing}, {score} {value}, {phrases.p_value(test['p_holm'])}"
    above, below = (
        set(tests.loc[side & (tests["p_holm"] < phrases.ALPHA), "layer_a"])
        for side in (tests["difference"] > 0, tests["difference"] < 0)
    )
    value = f"selection-corrected {score} {value}"
    if not above:
        worse = f", {len(below)} of {len(tests)} are clearly below" if below else ""
        smallest = phrases.p_value(tests["p_holm"].min(), "smallest p")
        return f"no layer is clearly above the {nothing}{worse}, {smallest}, best {peak}, {value}"
    counted = f"{len(above)} of {len(tests)} layers {'is' if len(above) == 1 else 'are'}"
    if len(above) == len(tests):
        counted = f"all {len(tests)} layers are"
    excepted = "" if best in above else ", which is not clearly among them"
    names = [str(name) for name in curve["layer"]]
    return (
        f"{counted} above the {nothing}, peak at {peak}{excepted}, {value}{_rest(compared, names)}"
    )


def _decided(layer: Row) -> str:
    """The speaker who decides the score of a layer, if there is one, with the score without."""
    speaker = layer[DECIDING_SPEAKER]
    if not speaker:
        return ""
    main = MAIN_SCORE[layer["target_kind"]]
    known, others = phrases.unequal(layer[main], layer[f"{main}{WITHOUT_SPEAKER}"])
    label = phrases.score_name(layer["target_kind"])
    return f" (speaker {speaker} decides its {label}: {known} with, {others} without)"


def _rest(compared: pd.DataFrame, names: Sequence[str]) -> str:
    """The layers that are not distinguishable from the peak, which is not one of them."""
    others = phrases.tested(compared[compared["comparison"] == LAYER_BEST])
    alike = set(others.loc[~(others["p_holm"] < phrases.ALPHA), "layer_a"])
    if others.empty:
        return ""
    if not alike:
        return "; every other layer is worse"
    if len(alike) == len(others):
        return "; no other layer is distinguishable from it"
    return f"; not distinguishable from it: {phrases.places_of(alike, names)}"


def _between_models(
    models: pd.DataFrame, of_probe: pd.DataFrame, differences: pd.DataFrame
) -> Iterator[str]:
    """The comparisons of the models of one target and probe, each at its best layer."""
    first = of_probe.iloc[0].to_dict()
    there = differences[
        (differences["target"] == first["target"]) & (differences["probe"] == first["probe"])
    ]
    score = phrases.score_name(first["target_kind"])
    where = _of_target(models, first)
    for row in there[there["comparison"] == TRAINED].to_dict("records"):
        who = ", ".join([f"{row['model_a']} against its untrained twin {row['model_b']}", *where])
        yield f"{who}: {_trained(row, score)}."
    rows = there[there["comparison"] == MODELS]
    honest = of_probe.set_index("model")[f"best_{MAIN_SCORE[first['target_kind']]}_honest"].dropna()
    if not rows.empty and not honest.empty:
        top = str(honest.idxmax())
        beside = standing(top, rows)
        if beside:
            begin = f"{', '.join(where)}: " if where else ""
            yield f"{begin}{top} has the highest selection-corrected {score}, {beside}."


def _trained(row: Row, score: str) -> str:
    told, where = phrases.difference(row), phrases.chosen_at(row)
    if not phrases.clear(row):
        return f"{score} {where} does not differ clearly, {told}"
    side = "higher" if row["difference"] > 0 else "lower"
    return f"{score} {where} is {side}, difference {told}"


def standing(top: str, rows: pd.DataFrame) -> str:
    """Compare ``top`` with the other models of ``differences.csv``; "" if there are none."""
    groups: dict[str, list[str]] = {
        "clearly above": [], "not clearly different from": [], "clearly below": [],
    }  # fmt: skip
    for row in rows.to_dict("records"):
        if top in (row["model_a"], row["model_b"]):
            sign = 1 if row["model_a"] == top else -1
            side = "above" if sign * row["difference"] > 0 else "below"
            group = f"clearly {side}" if phrases.clear(row) else "not clearly different from"
            other = row["model_b"] if sign == 1 else row["model_a"]
            groups[group].append(str(other))
    return ", ".join(f"{how} {phrases.names(others)}" for how, others in groups.items() if others)
