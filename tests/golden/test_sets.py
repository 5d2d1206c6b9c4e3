"""Activation ids have the values that they had when they were first computed.

They name the folders of the cache: see `test_golden_ids`.
"""

from pathlib import Path
from typing import Any

import pytest

from sweep.plan.plan import Plan
from tests.support import golden

KFOLD = {"kind": "kfold", "folds": 3}
GRAM = {"store": "gram", "targets": ["cps", "pause"], "probes": [{"kind": "ridge"}]}
TEMPO = {"factors": [0.8, 1.25], "utterances": 3}


def set_ids(plan: Plan, model: str = "a") -> dict[str, str]:
    [found] = [one for one in plan.models if one.name == model]
    return {planned.split: planned.activation_id for planned in found.all_sets}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {},
            {
                "train": "a12c51b0d4b3e6d7",
                "validation": "7fe1eab143805f62",
                "test": "797ef2e52b6bfda5",
            },
        ),
        (
            {"pooling": "mean+std"},
            {
                "train": "2a723dade0a1c011",
                "validation": "1670b6b55e76a5ba",
                "test": "b44e88455cce764c",
            },
        ),
        (
            {"pooling": "channels"},
            {
                "train": "8668e7c04a1b2e56",
                "validation": "918f2b444fb89232",
                "test": "4a4613d665f351d1",
            },
        ),
        (
            {"dtype": "float16"},
            {
                "train": "f6391fa21170b3ba",
                "validation": "63543146c45b9fc5",
                "test": "5f9407cd08565c5f",
            },
        ),
        (
            {"features": {"max_frames": 300, "crop": "windows"}},
            {
                "train": "83b723b2482ed5e3",
                "validation": "4706bed09ef75ca0",
                "test": "6d07b096df89fba2",
            },
        ),
        (
            {"protocol": {"kind": "splits", "validation": None}},
            {"train": "a12c51b0d4b3e6d7", "test": "797ef2e52b6bfda5"},
        ),
    ],
)
def test_activations(changes: dict[str, Any], expected: dict[str, str]) -> None:
    assert set_ids(golden.plan(**changes)) == expected


@pytest.mark.parametrize(
    ("precision", "expected"),
    [
        ("fp32", "797ef2e52b6bfda5"),
        ("tf32", "5036207a5135e8cf"),
        ("bf16", "ad1b07cea4b29903"),
    ],
)
def test_activations_of_another_precision(precision: str, expected: str) -> None:
    model = {**golden.NETWORK, "name": "a", "precision": precision}
    assert set_ids(golden.plan(models=[model]))["test"] == expected


@pytest.mark.parametrize(
    "settings",
    [
        {"kind": "wespeaker", "architecture": "SimAM_ResNet34_ASP"},
        {"kind": "wespeaker", "checkpoint": "demo_samresnet34"},
        {"kind": "wespeaker", "checkpoint": "demo_samresnet34", "untrained": True, "seed": 3},
        {"kind": "transformers", "checkpoint": str(Path(__file__).parent)},
        {**golden.NETWORK, "factory": "another:one", "args": {"width": 3}, "seed": 2},
    ],
)
def test_activations_know_a_model_by_the_digest_of_its_weights_alone(
    settings: dict[str, Any],
) -> None:
    assert set_ids(golden.plan(models=[{**settings, "name": "a"}]))["test"] == "797ef2e52b6bfda5"


def test_activations_of_a_baseline() -> None:
    assert set_ids(golden.plan(), "baseline:duration") == {
        "train": "6717b87841e2a7b3",
        "validation": "cbcf175034d3ad64",
        "test": "711f95a324707251",
    }


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {},
            {
                "train": "cf75cac2aada210c",
                "validation": "7a0c55c1982ccdac",
                "test": "797ef2e52b6bfda5",
            },
        ),
        (
            {"controls": ["shuffled"]},
            {
                "train": "3b914637e4f98fda",
                "validation": "302a9b41575488c8",
                "test": "797ef2e52b6bfda5",
            },
        ),
        (
            {"protocol": {"kind": "splits", "validation": None}},
            {
                "unit 0": "9e00718ba6f7b9fa",
                "unit 1": "013df6c22b696938",
                "unit 2": "47cad3dc304ac55f",
                "unit 3": "112a8903e94885f6",
                "test": "797ef2e52b6bfda5",
            },
        ),
        (
            {"protocol": KFOLD},
            {
                "unit 0": "63f7a51e89fa9640",
                "unit 1": "bd4e5379448c2d50",
                "unit 2": "85ddf4f82e0f5ad4",
            },
        ),
        (
            {"protocol": {**KFOLD, "group": "room", "allow_speaker_overlap": True}},
            {
                "unit 0": "3144089eb33d4369",
                "unit 1": "d6cd9b15680a72c5",
                "unit 2": "1396cd8b584e4091",
            },
        ),
        (
            {"protocol": KFOLD, "probes": [{"kind": "ridge", "choose": "inner"}]},
            {
                "unit 0": "ca84a73de1cb677d",
                "unit 1": "fdc2648180cd725f",
                "unit 2": "50a2fb0a354abfd6",
                "unit 3": "d204f3abb29f89c4",
                "unit 4": "3ae47582ba76285b",
                "unit 5": "cb4c8474a1496b46",
                "unit 6": "f0a2e41f21a9d74f",
                "unit 7": "eefd71f6549a1b31",
            },
        ),
    ],
)
def test_statistics(changes: dict[str, Any], expected: dict[str, str]) -> None:
    assert set_ids(golden.plan(**{**GRAM, "controls": [], **changes})) == expected


@pytest.mark.parametrize(
    ("changes", "drawn", "expected"),
    [
        (
            {},
            ("F-0", "F-1", "G-0"),
            {"#tempo=0.8": "940d76852ef8c186", "#tempo=1.25": "406a0864cce65e7f"},
        ),
        (
            {**GRAM, "protocol": KFOLD},
            ("A-0", "B-1", "C-1"),
            {
                "#tempo=0.8": "c90584b2f4b76cfa",
                "#tempo=1.25": "621d998d16ca86a4",
                "#tempo=recorded": "ab9c8ebbc985dabe",
            },
        ),
    ],
)
def test_stretched_speech(
    changes: dict[str, Any], drawn: tuple[str, ...], expected: dict[str, str]
) -> None:
    plan = golden.plan(
        tempo=TEMPO, **{"targets": ["cps"], "probes": [{"kind": "ridge"}], **changes}
    )
    assert plan.tempo is not None
    assert plan.tempo.utterances == drawn
    [model] = [one for one in plan.models if one.name == "a"]
    heard = [*model.stretched, *([model.recorded] if model.recorded else [])]
    assert {planned.split: planned.activation_id for planned in heard} == expected
