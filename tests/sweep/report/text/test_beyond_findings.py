"""Sentences about what layers add to nuisances, read against the table that they are about."""

import re

import numpy as np
import pandas as pd
import pytest

from sweep.report.text.beyond import beyond_findings

NUMBER = r"−?\d+\.\d+"
SENTENCE = re.compile(
    rf"(?P<model>\w+), (?P<target>\w+), beyond fbank \+ duration: (?P<count>.+) to them, "
    rf"(?P<layer>\w+) the most, R² (?P<value>{NUMBER}) \[(?P<low>{NUMBER}), (?P<high>{NUMBER})\] "
    r"\(p (?P<sign>[=<]) (?P<p>[\d.e-]+)\)\."
)


def made(seed):
    """A table of random gains, of which a random share is clear."""
    rng = np.random.default_rng(seed)
    rows = []
    for model in ("b", "a"):
        for target in ("cps", "f0_mean"):
            strength = rng.uniform(-0.2, 0.6)
            for index in range(int(rng.integers(1, 6))):
                gain, half = strength + rng.normal(0, 0.1), rng.uniform(0.01, 0.3)
                rows.append(
                    {"model": model, "layer": f"layer{index}", "layer_index": index,
                     "target": target, "target_kind": "regression", "score": "r2",
                     "nuisances": "fbank + duration", "beyond": gain, "beyond_low": gain - half,
                     "beyond_high": gain + half,
                     "p_holm": rng.uniform(0, 0.05) if abs(gain) > half else rng.uniform(0.05, 1)}
                )  # fmt: skip
    return pd.DataFrame(rows)


def value_of(text):
    return float(text.replace("−", "-"))


@pytest.mark.parametrize("seed", range(20))
def test_every_sentence_agrees_with_its_rows(seed):
    table = made(seed)
    sentences = beyond_findings(table)
    told = [SENTENCE.fullmatch(sentence) for sentence in sentences]
    assert [(m["model"], m["target"]) for m in told] == [
        (model, target) for model in ("b", "a") for target in ("cps", "f0_mean")
    ]
    for match in told:
        curve = table[(table["model"] == match["model"]) & (table["target"] == match["target"])]
        best = curve.loc[curve["beyond"].idxmax()]
        assert match["layer"] == best["layer"]
        for name, column in (("value", "beyond"), ("low", "beyond_low"), ("high", "beyond_high")):
            assert value_of(match[name]) == pytest.approx(best[column], abs=0.0051)
        p = float(match["p"])
        assert (
            best["p_holm"] < p
            if match["sign"] == "<"
            else p == pytest.approx(best["p_holm"], rel=0.06)
        )
        assert (p < 0.05) == (best["p_holm"] < 0.05)
        clear = int(((curve["beyond"] > 0) & (curve["p_holm"] < 0.05)).sum())
        if clear:
            assert match["count"].startswith(f"{clear} of {len(curve)} layers clearly add")
        else:
            assert match["count"] == "no layer clearly adds"


def test_without_a_test_or_a_table_nothing_is_claimed():
    table = made(0).assign(p_holm=np.nan, beyond_low=np.nan, beyond_high=np.nan)
    assert all("(too few speakers for a test)." in sentence for sentence in beyond_findings(table))
    assert beyond_findings(table.iloc[:0]) == []
