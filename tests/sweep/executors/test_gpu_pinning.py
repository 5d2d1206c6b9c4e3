"""Real actors on two nodes of a real Ray whose GPUs are a claim: who sees which."""

import json
import secrets
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.support import gpu_facts, ray_nodes


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What was seen on a head without CPUs, a node with three GPUs, and one with one."""
    folder = tmp_path_factory.mktemp("gpus")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        # Workers unpack spies by the name of their module.
        root = Path(__file__).parents[3]
        patch.setenv("PYTHONPATH", str(root))
        with (
            ray_nodes.head(folder, cpus=0) as head,
            ray_nodes.worker(folder / "large", head.address, cpus=4, gpus=3),
            ray_nodes.worker(folder / "small", head.address, cpus=2, gpus=1),
        ):
            (folder / "seen").mkdir()
            program = f"from {gpu_facts.__name__} import main; main()"
            command = [sys.executable, "-c", program, head.address, str(folder / "seen")]
            done = subprocess.run(
                command,
                cwd=root,
                capture_output=True,
                text=True,
                timeout=600,
                check=False,
            )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def gpus(seen: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(one["node"], one["visible"]) for one in seen]


def test_every_actor_has_a_gpu_of_its_own_and_two_models_are_extracted_at_once(
    facts: dict[str, Any],
) -> None:
    whole = facts["whole"]
    assert whole["slots"] == 4
    assert [one["name"] for one in whole["both"]] == ["m", "m", "m", "n"]
    assert len(set(gpus(whole["both"]))) == 4
    assert sorted(visible for _, visible in gpus(whole["both"])) == ["0", "0", "1", "2"]
    assert len({one["pid"] for one in whole["both"]}) == 4


def test_a_probe_sees_no_gpu(facts: dict[str, Any]) -> None:
    assert [one["visible"] for one in facts["whole"]["probe"]] == [""]


def test_actors_go_when_their_model_is_done_and_the_next_has_their_gpus(
    facts: dict[str, Any],
) -> None:
    whole = facts["whole"]
    assert whole["gone"] == [True, True, True]
    assert whole["free after m"] == 3.0
    [third] = whole["third"]
    before = {one["pid"] for one in whole["both"]}
    assert third["pid"] not in before
    kept = [(one["node"], one["visible"]) for one in whole["both"] if one["name"] == "n"]
    assert (third["node"], third["visible"]) not in kept
    assert whole["free at the end"] == 4.0


def test_two_actors_that_ask_for_half_a_gpu_share_one(facts: dict[str, Any]) -> None:
    assert Counter(gpus(facts["shares"])).most_common() == [((facts["shares"][0]["node"], "0"), 2)]
    assert len({one["pid"] for one in facts["shares"]}) == 2
