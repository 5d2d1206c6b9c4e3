"""Signs of life: what a run has and uses, now and then."""

import json
from typing import Any

from jobs.workers.usage import MachineUsage
from sweep.executors.usage import Usage
from sweep.running.pulse import PULSE_SECONDS, BusyGpus, Pulse, resource_fields
from sweep.state.event_fields import check_event

GIB = 2**30


class Executor:
    def usage(self) -> Usage:
        return Usage(nodes=2, jobs=3, places=4)


def machine(name: str, busy: float) -> MachineUsage:
    return MachineUsage(name, cpus=4, busy=busy, memory=8 * GIB, memory_used=GIB)


def test_there_is_an_event_at_the_start_and_then_now_and_then() -> None:
    told: list[dict[str, Any]] = []
    now = [0.0]
    pulse = Pulse(lambda **fields: told.append(fields), lambda: now[0])
    for second in range(25):
        now[0] = float(second)
        pulse.beat(Executor())  # type: ignore[arg-type]
    pulse.close()
    assert len(told) == 1 + 24 // PULSE_SECONDS
    assert told[0] == {"nodes": 2, "jobs": 3, "places": 4}
    for fields in told:
        check_event(
            json.loads(json.dumps({"time": "2024-01-01T00:00Z", "kind": "resources", **fields}))
        )


def test_machines_are_added_up_and_this_one_counts_once() -> None:
    usage = Usage(3, 3, 4, gpus=(1, 2), machines=[machine("here", 4), machine("there", 1.5)])
    assert resource_fields(usage, machine("here", 2), 0.5) == {
        "nodes": 3, "jobs": 3, "places": 4, "cpus": [3.5, 8], "memory": [2 * GIB, 16 * GIB],
        "gpus": [1, 2], "gpu_busy": 0.5,
    }  # fmt: skip


def answer(gpus: BusyGpus) -> float | None:
    gpus.busy()
    assert gpus._asked is not None
    gpus._asked.result()
    found = gpus.busy()
    gpus.close()
    return found


def test_the_answer_about_gpus_is_that_of_an_earlier_question() -> None:
    assert answer(BusyGpus(["printf", "80\\n40\\n"])) == 0.6
    assert answer(BusyGpus(["false"])) is None
    assert BusyGpus(["no-such-program"]).busy() is None
