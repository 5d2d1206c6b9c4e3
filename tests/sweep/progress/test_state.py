import copy
from datetime import UTC, datetime, timedelta

import pytest

from sweep.progress.models import Best
from sweep.progress.state import STAGES, Progress

START = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)


def at(offset, kind, /, **fields):
    return {"time": (START + timedelta(seconds=offset)).isoformat(), "kind": kind, **fields}


def started(seconds=0, models=("a", "b"), extract=10, probe=40, extracted=0, probed=0):
    totals = {"extract": extract, "probe": probe}
    done = {"extract": extracted, "probe": probed}
    return at(seconds, "planned", run="demo", models=list(models), totals=totals, done=done)


def begin(seconds):
    return at(seconds, "stage_started", stage="prepare")


def shard(seconds, model="a", number=0, skipped=0):
    return at(
        seconds, "shard_done", model=model, shard=number, utterances=8, skipped=skipped, seconds=1.0
    )


def cells(seconds, model="a", layer="stem", count=4, failed=0, r2=0.5, probe="ridge"):
    best = None if r2 is None else {"probe": probe, "target": "cps", "r2": r2}
    return at(
        seconds,
        "cells_done",
        model=model,
        layer=layer,
        layer_index=0,
        cells=count,
        failed=failed,
        seconds=1.0,
        best=best,
    )


def fold(*events):
    progress = Progress()
    for event in events:
        progress.update(event)
    return progress


def preparing(seconds, done, total=50, what="reading files"):
    return at(seconds, "stage_progress", stage="prepare", what=what, done=done, total=total)


def test_what_takes_long_in_a_stage_is_counted_while_it_lasts():
    progress = fold(begin(0), preparing(5, 10), preparing(10, 30))
    stage = progress.stages["prepare"]
    assert (stage.done, stage.total) == (30, 50)
    assert stage.rate(START + timedelta(seconds=10)) == 3
    assert stage.eta(START + timedelta(seconds=10)) == pytest.approx(20 / 3)
    progress.update(preparing(12, 1, total=4, what="measuring pitch"))
    assert (stage.done, stage.total) == (1, 4)
    progress.update(at(15, "stage_finished", stage="prepare", seconds=15))
    assert (stage.done, stage.total, stage.ended) == (0, 0, START + timedelta(seconds=15))


def test_nothing_is_claimed_before_the_first_event():
    progress = Progress()
    assert progress.status == "waiting"
    assert progress.elapsed() == 0.0
    assert list(progress.stages) == list(STAGES)
    assert progress.stages["probe"].eta(START) == 0.0


def test_rate_and_eta_come_from_what_this_run_finished():
    extract = at(10, "stage_started", stage="extract")
    progress = fold(started(extract=10, extracted=4), extract, shard(14), shard(18, number=1))
    stage = progress.stages["extract"]
    now = START + timedelta(seconds=18)
    assert (stage.done, stage.total) == (6, 10)
    assert stage.rate(now) == pytest.approx(2 / 8)
    assert stage.eta(now) == pytest.approx(4 / (2 / 8))


def test_what_earlier_runs_did_gives_no_rate():
    stage = fold(started(probed=39, probe=40), at(1, "stage_started", stage="probe")).stages[
        "probe"
    ]
    now = START + timedelta(seconds=5)
    assert stage.rate(now) is None
    assert stage.eta(now) is None
    assert stage.done == 39


def test_the_rate_of_a_finished_stage_stays_as_it_was():
    progress = fold(
        started(probe=4),
        at(0, "stage_started", stage="probe"),
        cells(2),
        at(2, "stage_finished", stage="probe", seconds=2.0),
    )
    stage = progress.stages["probe"]
    assert stage.rate(START + timedelta(hours=1)) == pytest.approx(2.0)
    assert stage.eta(START + timedelta(hours=1)) == 0.0


def test_a_stage_without_events_of_its_own_lasts_from_its_first_work_to_its_last():
    progress = fold(begin(0), started(5, extract=3), shard(9), shard(10, number=1))
    stage = progress.stages["extract"]
    assert stage.rate(START + timedelta(seconds=10)) == pytest.approx(2 / 2)
    progress.update(shard(12, number=2))
    assert stage.rate(START + timedelta(hours=1)) == pytest.approx(3 / 4)
    assert stage.eta(START + timedelta(hours=1)) == 0.0


def test_a_run_that_ended_grows_no_older():
    end = at(7, "run_finished", status="done", done=1, failed=0, seconds=7.0)
    progress = fold(begin(0), started(1), end)
    assert progress.elapsed(progress.moment(START + timedelta(days=1))) == 7.0
    running = fold(begin(0), started(1))
    assert running.moment(START) == START


def test_failed_cells_count_as_come_back_and_as_failed():
    failure = at(3, "failure", stage="probe", model="a", where="stem", error="not finite")
    progress = fold(started(), cells(2, count=4, failed=1), failure)
    assert (progress.stages["probe"].done, progress.failed) == (4, 1)
    assert progress.models["a"].failed == 1
    assert [cause.line() for cause in progress.causes] == ["a: layer stem, not finite"]


def test_a_failure_outside_of_probing_counts_once_and_may_concern_no_model():
    progress = fold(
        started(),
        at(1, "failure", stage="extract", model="a", where="shard 3", error="overflow"),
        at(2, "failure", stage="prepare", model=None, where="corpus", error="gone"),
    )
    assert progress.stages["extract"].failed == 1
    assert progress.failed == 2
    assert [cause.line() for cause in progress.causes] == [
        "a: extraction, overflow",
        "prepare, gone",
    ]


def test_best_layer_is_the_highest_r2_so_far_of_each_model():
    progress = fold(
        started(),
        cells(1, layer="stem", r2=-0.2),
        cells(2, layer="layer2", r2=0.7, probe="mlp"),
        cells(3, layer="layer3", r2=0.6),
        cells(4, layer="layer4", r2=None),
        cells(5, model="b", layer="pooling", r2=-3.0),
    )
    assert progress.models["a"].best == Best("layer2", "mlp", "cps", 0.7)
    assert progress.models["b"].best == Best("pooling", "ridge", "cps", -3.0)
    assert progress.models["a"].layers == {"stem", "layer2", "layer3", "layer4"}


def test_the_best_accuracy_is_kept_beside_the_best_r2():
    def classes(seconds, layer, accuracy, **fields):
        found = {"probe": "logistic", "target": "sex", "accuracy": accuracy}
        return cells(seconds, layer=layer, **fields) | {"best_accuracy": found}

    progress = fold(
        started(),
        cells(1, layer="stem", r2=0.4),  # as before there were classes
        classes(2, "layer1", 0.9, r2=0.2),
        classes(3, "layer2", 0.8, r2=None),
        cells(4, model="b") | {"best_accuracy": None},
    )
    assert progress.models["a"].best == Best("stem", "ridge", "cps", 0.4)
    assert progress.models["a"].best_accuracy == Best("layer1", "logistic", "sex", 0.9)
    assert progress.models["b"].best_accuracy is None


def test_a_resumed_run_counts_anew_and_keeps_what_is_still_true():
    first = (started(), shard(1, skipped=2), cells(2, r2=0.4), at(3, "warning", message="w"))
    progress = fold(*first, begin(100), started(102, extracted=1, probed=4))
    assert progress.models["a"].best == Best("stem", "ridge", "cps", 0.4)
    assert progress.models["a"].shards == {0}
    assert progress.stages["extract"].finished == 0
    assert progress.stages["extract"].done == 1
    assert (progress.n_warnings, list(progress.warnings)) == (0, [])
    assert progress.elapsed(START + timedelta(seconds=130)) == 30.0


def test_layers_of_earlier_runs_have_their_scores_in_a_run_that_has_just_resumed():
    best = {"probe": "ridge", "target": "cps", "r2": 0.6}
    earlier = {"layer": "stem", "layer_index": 3, "best": best, "best_accuracy": None}
    progress = fold(
        begin(0),
        started(1, probe=8, probed=4),
        at(2, "scored_earlier", model="a", layers=[earlier | {"scores": {"cps": 0.6}}]),
        cells(3, layer="late", r2=0.5),
    )
    model = progress.models["a"]
    assert model.scores["cps"] == {3: 0.6}
    assert model.best_of("cps") == ("stem", 0.6)
    assert model.best == Best("stem", "ridge", "cps", 0.6)
    assert (model.probing.done, progress.stages["probe"].finished) == (1, 4)


def test_a_run_begins_with_prepare_even_after_one_that_was_killed():
    end = at(5, "stage_finished", stage="prepare", seconds=2.0)
    progress = fold(begin(0), started(1), cells(2), begin(3), end, started(5))
    assert progress.status == "running"
    assert progress.elapsed() == 2.0
    assert progress.stages["prepare"].ended is not None
    assert (progress.stages["probe"].finished, progress.stages["probe"].total) == (0, 40)


def test_a_run_started_afresh_forgets_the_best_layers():
    progress = fold(started(), cells(2, r2=0.4), begin(99), started(100, probed=0))
    assert progress.models["a"].best is None


def test_a_shard_made_twice_does_not_count_its_skipped_utterances_twice():
    progress = fold(
        started(), shard(1, skipped=2), begin(8), started(9, probed=1), shard(10, skipped=2)
    )
    assert progress.skipped == 2


def test_skipped_utterances_are_not_added_over_models():
    progress = fold(started(), shard(1, skipped=3), shard(2, model="b", skipped=3))
    assert progress.skipped == 3


def test_replaying_gives_the_same_state():
    events = [started(), shard(1), cells(2), at(3, "retry", where="a", attempt=2, error="lost")]
    events.append(at(4, "run_finished", status="interrupted", done=1, failed=0, seconds=4.0))
    one, two = fold(*copy.deepcopy(events)), fold(*events)
    assert (one.stages, one.models, one.warnings) == (two.stages, two.models, two.warnings)
    assert one.status == "interrupted"
    assert list(one.warnings) == ["a: attempt 2: lost"]
    assert one.elapsed() == 4.0


def test_an_unknown_kind_is_passed_over():
    progress = fold(started(), at(5, "from_the_future", model=3))
    assert progress.status == "running"
    assert progress.elapsed() == 5.0


def test_only_the_latest_messages_are_kept_but_all_are_counted():
    progress = fold(started(), *(at(n, "warning", message=str(n)) for n in range(200)))
    assert progress.n_warnings == 200
    assert progress.warnings[-1] == "199"
    assert len(progress.warnings) < 200
