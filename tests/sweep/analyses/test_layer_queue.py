"""The queue of jobs of layers, without running any."""

from dataclasses import dataclass

from jobs.probing.layer_report import LayerReport
from sweep.analyses.layer_queue import LayerQueue


@dataclass(frozen=True)
class FakeJob:
    model: str
    layer: str

    @property
    def key(self):
        return f"{self.model} / {self.layer}"

    title = key


class Notes:
    def __init__(self):
        self.done, self.failed, self.warnings = [], [], []

    def compared(self, seconds, analysis):
        self.done.append((seconds, analysis))

    def warning(self, message):
        self.warnings.append(message)

    def failure(self, stage, model, where, error):
        self.failed.append((stage, model, where, error))


JOBS = [FakeJob("a", "0"), FakeJob("a", "1"), FakeJob("b", "0")]


def queue(extracted, recorder=None, others=("baseline:fbank",)):
    return LayerQueue("beyond", JOBS, others, extracted.__contains__, recorder)


def due(key):
    return True


def test_a_layer_waits_for_its_model_and_for_the_models_that_all_layers_need():
    extracted = set()
    left = queue(extracted)
    assert left.models == {"a", "b", "baseline:fbank"} and left.waiting == 3
    assert left.next(due, ()) is None
    extracted.add("b")
    assert left.next(due, ()) is None
    extracted.add("baseline:fbank")
    assert left.next(due, ()) == JOBS[2]
    extracted.add("a")
    assert left.next(lambda key: key != "a / 0", ()) == JOBS[1]


def test_a_job_comes_back_once_and_is_recorded():
    notes = Notes()
    left = queue({"a", "b", "baseline:fbank"}, notes)
    left.sent(JOBS[0])
    assert left.waiting == 2
    left.again(JOBS[0])
    assert left.waiting == 3 and left.next(due, ()) == JOBS[1]
    left.sent(JOBS[1])
    left.finish(JOBS[1], LayerReport(0.5, ("1 fit failed",)))
    left.sent(JOBS[2])
    left.fail(JOBS[2], ValueError("wrong"))
    assert notes.done == [(0.5, "beyond")] and notes.warnings == ["1 fit failed"]
    assert notes.failed == [("beyond", "b", "0", "ValueError: wrong")]
    assert left.waiting == 1


def test_layers_of_a_model_without_activations_are_given_up_and_all_if_a_baseline_has_none():
    notes = Notes()
    left = queue({"a", "b", "baseline:fbank"}, notes)
    left.sent(JOBS[0])
    left.drop("a", "broken")
    assert left.waiting == 1 and left.models == {"b", "baseline:fbank"}
    assert not left.is_needed(JOBS[0])
    left.fail(JOBS[0], ValueError("its model was given up"))
    assert notes.failed == []
    left.drop("baseline:fbank", "broken")
    assert left.waiting == 0 and left.models == set()
