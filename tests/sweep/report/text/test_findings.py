"""What is said of a model's layers, and of models: a test for each question."""

import pandas as pd
import pytest

from jobs.statistics.best_layer import Estimate
from jobs.statistics.curves import Curves
from jobs.statistics.difference_table import LAYER_BEST, LAYER_NOTHING
from jobs.statistics.model_table import model_table
from sweep.commands.run_lines import print_findings
from sweep.report.tables.difference_tables import differences_tables
from sweep.report.text import phrases
from sweep.report.text.findings import findings
from sweep.results.claims import Claims, claims_text, read_claims
from sweep.state.run_folder import RunFolder
from tests.jobs.statistics.test_difference_table import make_curves, table_of

LEVELS = [0.1, 0.68, 0.7, 0.69, 0.1, 0.695, 0.1]


def said_of(curves, twins=()):
    return findings(curves.layers, model_table(curves), table_of(curves, twins))


def test_the_layers_above_knowing_nothing_are_counted_and_the_peak_is_not_among_its_rivals():
    curves = make_curves({"a": LEVELS})
    (said,) = said_of(curves)
    found = table_of(curves)
    tests = found[found["comparison"] == LAYER_NOTHING]
    n = ((tests["p_holm"] < 0.05) & (tests["difference"] > 0)).sum()
    best = curves.layers.loc[curves.layers["r2"].idxmax(), "layer"]
    rivals = found[(found["comparison"] == LAYER_BEST) & (found["p_holm"] >= 0.05)]["layer_a"]
    assert 1 < n < 7 and best not in set(rivals)
    start, _, rest = said.partition("; ")
    assert start == (
        f"a: {n} of 7 layers are above the mean predictor, peak at {best}, selection-corrected R² "
        "0.50 [0.40, 0.60]"
    )
    assert rest.startswith("not distinguishable from it: ") and best not in rest


@pytest.mark.parametrize("low", [-0.81, 0.0, float("nan")])
def test_an_interval_that_contains_knowing_nothing_does_not_deny_a_layer_that_is_above(low):
    curves = make_curves({"a": [0.1, 0.7, 0.2]}, honest_score=Estimate(0.3, low, 0.8))
    (said,) = said_of(curves)
    assert said.startswith("a: 1 of 3 layers is above the mean predictor, peak at layer1, ")
    too_few = "0.30 (too few speakers for an interval)"
    assert (too_few in said) == (low != low)
    (said,) = said_of(make_curves({"a": [0.7]}, honest_score=Estimate(0.3, low, 0.8)))
    assert said.startswith("a: layer0 is above the mean predictor, R² 0.30")


def test_a_peak_that_stands_alone_and_one_that_does_not_stand_out_are_told():
    (alone,) = said_of(make_curves({"a": [0.1, 0.7, 0.2]}))
    assert "peak at layer1, " in alone and alone.endswith("every other layer is worse.")
    (flat,) = said_of(make_curves({"a": [0.5, 0.5, 0.5]}, seed=1))
    assert flat.endswith("no other layer is distinguishable from it.")


def test_a_peak_that_is_not_itself_above_is_said_not_to_be():
    curves = make_curves({"a": [0.1, 0.6, 0.7]})
    found = table_of(curves)
    unsure = (found["comparison"] == LAYER_NOTHING) & (found["layer_a"] == "layer2")
    found.loc[unsure, "p_holm"] = 0.2
    (said,) = findings(curves.layers, model_table(curves), found)
    assert "peak at layer2, which is not clearly among them, " in said


def test_where_nothing_is_known_that_is_said_with_numbers():
    (said,) = said_of(make_curves({"a": [-0.05, -0.02, -0.08]}))
    assert said.startswith("a: no layer is clearly above the mean predictor, ")
    assert ", smallest p " in said and said.endswith(
        ", best layer0, selection-corrected R² 0.50 [0.40, 0.60]."
    )
    (said,) = said_of(make_curves({"a": [-0.5, -0.3]}, target="sex", kind="classification"))
    assert said.startswith("a: no layer is clearly above the majority class, 2 of 2 are clearly")


def test_a_speaker_who_decides_the_score_of_the_peak_is_named_with_the_score_without():
    curves = make_curves({"a": [0.1, 0.7, 0.2]})
    place = curves.layers["layer"] == "layer1"
    columns = ["influential_speaker", "r2", "r2_without_speaker"]
    curves.layers.loc[place, columns] = ["ann", 0.31, 0.72]
    (said,) = said_of(curves)
    assert "peak at layer1 (speaker ann decides its R²: 0.31 with, 0.72 without), " in said


def test_the_terminal_shows_headlines_and_main_clauses(tmp_path, capsys):
    folder = RunFolder(tmp_path)
    folder.findings.parent.mkdir(parents=True)
    claims = Claims(("Training; it did.",), ("a: peak at x; y not distinguishable.",) * 14)
    folder.findings.write_text(claims_text(claims), encoding="utf-8")
    print_findings(folder)
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "Training; it did." and shown[1:13] == ["a: peak at x."] * 12
    assert shown[13].startswith("and 2 more") and read_claims(claims_text(claims)) == claims


def test_findings_of_an_older_version_are_read_as_findings():
    assert read_claims("a: peak.\nb: peak.\n") == Claims((), ("a: peak.", "b: peak."))
    assert read_claims(claims_text(Claims())) == Claims()


def test_probe_and_target_are_named_where_there_are_several_and_baselines_have_no_sentence():
    one = make_curves({"a": [0.6], "baseline:fbank": [0.3]})
    other = make_curves({"a": [0.6]}, probe="mlp")
    both = Curves(
        pd.concat([one.layers, other.layers], ignore_index=True),
        {**one.honest, **other.honest},
        {**one.errors, **other.errors},
    )
    (first, second) = said_of(one)
    assert first.startswith("a: layer0 is above the mean predictor, R² 0.50 [0.40, 0.60], p ")
    assert second == "a has the highest selection-corrected R², clearly above baseline:fbank."
    starts = [said.partition(":")[0] for said in said_of(both)]
    assert starts[:2] == ["a, mlp", "a, ridge"]


def test_twins_are_compared_at_their_best_layers():
    curves = make_curves({"a": [0.5, 0.6], "b": [0.1, 0.2]})
    *_, said = said_of(curves, twins=[("a", "b")])
    assert said.startswith("a against its untrained twin b: R² at the best layers is higher, ")
    assert said.endswith("(p < 0.001).")


def test_the_table_to_read_has_the_models_with_untrained_ones_marked():
    curves = make_curves({"a": [0.5, 0.6], "b": [0.1, 0.2], "baseline:fbank": [0.3]})
    (table,) = differences_tables(table_of(curves, twins=[("a", "b")]))
    cells = [[cell.text for cell in row] for row in table.rows]
    assert ["ridge", "a", "b (untrained)"] in [row[:3] for row in cells]
    assert len(cells) == 3 and all(row[3].count("[") == 1 for row in cells)


def test_without_a_done_cell_nothing_is_said():
    curves = make_curves({"a": [0.2]})
    curves = Curves(curves.layers.assign(cells=0), {}, {})
    found = table_of(curves)
    assert findings(curves.layers, model_table(curves), found) == []
    assert differences_tables(found) == []


@pytest.mark.parametrize(
    ("p", "shown"),
    [(1e-9, "p < 0.001"), (0.0123, "p = 0.012"), (0.0499, "p = 0.049"), (0.05, "p = 0.05")],
)
def test_a_rounded_p_value_stays_on_its_side_of_five_percent(p, shown):
    assert phrases.p_value(p) == shown


@pytest.mark.parametrize(
    ("chosen", "shown"),
    [
        ("ac", "a, c"),
        ("ab", "a, b"),
        ("abc", "a to c"),
        ("acegi", "5 of 8 others, a the first and i the last"),
    ],
)
def test_long_lists_of_layers_are_counted(chosen, shown):
    assert phrases.places_of(set(chosen), "abcdefghi") == shown
