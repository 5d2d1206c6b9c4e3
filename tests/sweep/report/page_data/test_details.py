"""Predictions on the page: what is packed, averaged, thinned and counted."""

import numpy as np
import pytest

from jobs.protocol.predictions import CellPredictions
from sweep.report.page_data import details as module
from sweep.report.page_data.details import layer_details
from sweep.report.page_data.encode import ALPHABET, STEPS, UNKNOWN, packed, rounded
from tests.support.browser_page import stand_in_run


def unpacked(text, low, high):
    """Written from the description of the form: two digits to the base 64 per value."""
    pairs = [text[at : at + 2] for at in range(0, len(text), 2)]
    places = [
        np.nan if pair == UNKNOWN else 64 * ALPHABET.index(pair[0]) + ALPHABET.index(pair[1])
        for pair in pairs
    ]
    return low + (high - low) * np.array(places) / (64**2 - 1)


def key(*names):
    return "\x7f".join(names)


def test_packed_numbers_come_back_to_a_step_and_ends_are_kept():
    values = np.array([-3.0, 0.1234, 2.0, np.nan, 99.0, -99.0])
    back = unpacked(packed(values, -3, 2), -3, 2)
    assert back[:3] == pytest.approx(values[:3], abs=5 / STEPS)
    assert np.isnan(back[3]) and back[4:].tolist() == [2.0, -3.0]


def test_rounding_keeps_significant_digits_and_marks_what_is_undefined():
    assert rounded([1234.56, 0.00012345, np.nan, np.inf]) == [1235.0, 0.0001234, None, None]


def test_predictions_are_those_of_the_run_averaged_over_seeds():
    run = stand_in_run()
    first, second = [n for n, r in run.records.items() if r.model == "net" and r.target == "cps"][
        :2
    ]
    again = run.records[second]
    again.layer, again.probe, again.seed = run.records[first].layer, run.records[first].probe, 1
    details = layer_details(run)
    shown = details["targets"]["cps"]
    assert (len(shown["ids"]), shown["tested"]) == (40, [40, 8])
    found = unpacked(details["predicted"][key("net", "stem", "cps", "ridge")], *shown["ends"])
    cells = [run.cell_predictions(name) for name in (first, second)]
    expected = np.mean([cell.y_pred for cell in cells], axis=0)
    inside = (expected > shown["ends"][0]) & (expected < shown["ends"][1])
    assert inside.sum() > 30
    assert found[inside] == pytest.approx(expected[inside], abs=0.01)
    assert details["confused"][key("net", "stem", "sex", "logistic")] == [15, 5, 5, 15]


@pytest.mark.parametrize(("fewest", "speakers", "utterances"), [(2, 4, 20), (6, 6, 18)])
def test_of_many_predictions_whole_speakers_are_kept_or_some_of_each(
    monkeypatch, fewest, speakers, utterances
):
    monkeypatch.setattr(module, "MOST_POINTS", 20)
    monkeypatch.setattr(module, "LEAST_POINTS", 20)
    monkeypatch.setattr(module, "FEWEST_SPEAKERS", fewest)
    shown = layer_details(stand_in_run())["targets"]["cps"]
    assert (len(shown["speakers"]), len(shown["ids"])) == (speakers, utterances)
    assert {"s0", "s7"} <= set(shown["speakers"])
    assert shown["tested"] == [40, 8]


def test_of_many_classes_the_most_frequent_confusions_are_named():
    run = stand_in_run()
    n = module.MOST_CLASSES + 1
    run.plan.classes = {"sex": tuple(f"c{at:02d}" for at in range(n))}
    truth = np.arange(40) % n
    guess = np.where(np.arange(40) < 7, 1, truth)
    names = np.array(list(run.speakers))
    cell = CellPredictions(0, 0.0, names, truth.astype(np.float32), guess.astype(np.float32))
    run.cell_predictions = lambda name: cell
    found = layer_details(run)["confused"][key("net", "stem", "sex", "logistic")]
    assert (found["right"], found["all"]) == (34, 40)
    assert sorted(found["largest"]) == [[at, 1, 1] for at in (0, 2, 3, 4, 5, 6)]


def test_a_run_that_keeps_no_predictions_has_no_details():
    run = stand_in_run()
    run.plan.scored_by_sums = True
    assert layer_details(run)["predicted"] == {}
