"""Cell ids, and ids of comparisons, have the values that they had when they were first computed.

They decide what a run computes again: see `test_golden_ids`.
"""

import hashlib
from collections.abc import Iterable
from typing import Any

import pytest

from sweep.analyses.similarity_pairs import draw_utterances, model_pairs
from sweep.plan.plan import layer_tasks, made_from
from tests.support import golden

KFOLD = {"kind": "kfold", "folds": 3}
GRAM = {"store": "gram", "targets": ["cps", "pause"], "probes": [{"kind": "ridge"}]}
TEMPO = {"factors": [0.8, 1.25], "utterances": 3}


def sha256(lines: Iterable[str]) -> str:
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()


def test_what_cells_are_made_from() -> None:
    plan = golden.plan()
    assert {
        f"{target} {probe}": made_from(plan, plan.models[0], target, probe)
        for target, probe in plan.pairs()
    } == {
        "cps ridge": {
            "activations": "a0cfb62d8ed73f09",
            "labels": "1e024fd8c51836a50e56f0d58a7c5559ba04b8ad62f07a6c5a614c0d49bd3cb3",
            "probe": "8dc8e3db6ef4cf6c",
            "protocol": "f8e0360eb6d1431e",
            "version": "3",
        },
        "cps mlp": {
            "activations": "a0cfb62d8ed73f09",
            "labels": "1e024fd8c51836a50e56f0d58a7c5559ba04b8ad62f07a6c5a614c0d49bd3cb3",
            "probe": "72973ac9d36ed5c0",
            "protocol": "f8e0360eb6d1431e",
            "version": "3",
        },
        "pause ridge": {
            "activations": "a0cfb62d8ed73f09",
            "labels": "037502386dcf10262b21330d908d1a6d6317dfdb2fec69038785f0936b77309d",
            "probe": "8dc8e3db6ef4cf6c",
            "protocol": "f8e0360eb6d1431e",
            "version": "3",
        },
        "pause mlp": {
            "activations": "a0cfb62d8ed73f09",
            "labels": "037502386dcf10262b21330d908d1a6d6317dfdb2fec69038785f0936b77309d",
            "probe": "72973ac9d36ed5c0",
            "protocol": "f8e0360eb6d1431e",
            "version": "3",
        },
        "sex logistic": {
            "activations": "a0cfb62d8ed73f09",
            "labels": "83880070c83bdcf53a3cedf5dc4accc4e4befa8110136bdb5d0b1cf1ad0a255d",
            "probe": "5f5529df297dee8c",
            "protocol": "f8e0360eb6d1431e",
            "version": "3",
        },
    }


@pytest.mark.parametrize(
    ("changes", "number", "expected"),
    [
        ({}, 84, "e6c6e699d603e509cb5a51077721aecb9b72fbf9ce2ecd9d951cb0c5e4c33782"),
        (
            {"protocol": KFOLD},
            252,
            "f60c0776dad7ff20403d864fbe49e0f557aec26c6ce7bbfc0eadaefb9c8b9dcd",
        ),
        (
            {"protocol": {**KFOLD, "group": "room", "allow_speaker_overlap": True}},
            252,
            "749751f1f9dce5bcc11f544e054b74444fb2f813fec07a0319f159e23ce11167",
        ),
        (
            {**GRAM, "protocol": KFOLD},
            72,
            "3afeb186ad3b29e0566c864c849ac1ce992e7c967864d6fd0cebe4569d1b50ed",
        ),
        (
            {**GRAM, "controls": []},
            8,
            "5787bb734f2cfaac2467aa92138803c05d5b95e767afc7fa91323c3f17689505",
        ),
    ],
)
def test_all_cells_of_a_plan(changes: dict[str, Any], number: int, expected: str) -> None:
    plan = golden.plan(**changes)
    ids = [cell.cell_id for task in layer_tasks(plan) for cell in task.cells]
    assert len(ids) == plan.n_cells == number
    assert sha256(ids) == expected


@pytest.mark.parametrize(
    ("protocol", "expected"),
    [
        (KFOLD, "06386487531d029fca26f77369ed48f99d839800faf0e6b6ab25d0f0e72bbaf2"),
        (
            {**KFOLD, "group": "room", "allow_speaker_overlap": True},
            "2913626371de783055d34d094676324260955a8612c52fde2c937d82ca130e68",
        ),
    ],
)
def test_cells_of_numbers_in_folds_are_as_they_were_before_classes_were_balanced(
    protocol: dict[str, Any], expected: str
) -> None:
    plan = golden.plan(protocol=protocol)
    cells = [cell for task in layer_tasks(plan) for cell in task.cells]
    ids = [cell.cell_id for cell in cells if cell.target != "sex"]
    assert (len(ids), sha256(ids)) == (216, expected)


def test_single_cells() -> None:
    cells = {
        (cell.target, cell.probe, cell.control, cell.seed): cell.cell_id
        for task in layer_tasks(golden.plan())
        for cell in task.cells
        if (task.model.name, task.layer.name) == ("a", "layer.1")
    }
    expected = {
        ("cps", "ridge", "none", 0): "74e3437658245c7f",
        ("cps", "mlp", "none", 1): "2279b077db93c9d9",
        ("cps", "ridge", "shuffled", 0): "f2349e0d5914e68d",
        ("pause", "ridge", "speaker", 0): "d6bfff36048e70d6",
        ("sex", "logistic", "none", 0): "3d6fd1cde0ae4dff",
    }
    assert {key: cells[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("changes", "drawn", "expected"),
    [
        (
            {"similarity": {}},
            "F-0 F-1 G-0 G-1",
            ["fa9846fcd810e522", "258335b3744a2186", "a0bf8c39d9502d4f"],
        ),
        (
            {"similarity": {"measures": ["pwcca"], "part": "train", "seed": 1}},
            "A-0 A-1 B-0 B-1 C-0 C-1",
            ["87ed294025a7db60", "dc54553005a6e7c0", "24576b49fd931abd"],
        ),
        (
            {"similarity": {"utterances": 10, "seed": 1}, "protocol": KFOLD},
            "A-0 A-1 B-0 B-1 C-0 C-1 D-1 E-1 F-1 G-0",
            ["a86346574133015b", "9b0d2d762f981d3a", "9388ca2608fd2cda"],
        ),
    ],
)
def test_pairs_of_models_that_are_compared(
    changes: dict[str, Any], drawn: str, expected: list[str]
) -> None:
    spec, plan, table = golden.spec(**changes), golden.plan(**changes), golden.table()
    assert " ".join(draw_utterances(spec, table)) == drawn
    assert [pair.pair_id for pair in model_pairs(spec, plan, table)] == expected
