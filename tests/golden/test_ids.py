"""Every id has the value that it had when it was first computed.

Caches and ledgers are named by these ids: a class, a field, a module or a file that gets another
name must not change one of them. Where numbers are to change, a ``…_VERSION`` is raised and with it
the ids here; in all other cases a failure here is a fault of the change and not of the test.
"""

from typing import Any

import pytest
from pydantic import TypeAdapter

from jobs.audio.settings import FeatureSettings
from jobs.audio.stretch import TEMPO_VERSION
from jobs.corpus.table import audio_digest_of_table, label_digest
from jobs.extraction.settings import EXTRACT_VERSION
from jobs.gram.settings import GRAM_VERSION
from jobs.identity import canonical_json, content_id
from jobs.probes import PROBE_VERSION, ProbeSettings
from jobs.probing.tempo_rows import stretched_rows
from jobs.protocol.settings import ProtocolSettings
from jobs.similarity.job import SIMILARITY_VERSION
from sweep.plan.activation_sets import groups_digest
from tests.support import golden

KFOLD = {"kind": "kfold", "folds": 3}
GRAM = {"store": "gram", "targets": ["cps", "pause"], "probes": [{"kind": "ridge"}]}
TEMPO = {"factors": [0.8, 1.25], "utterances": 3}


def test_the_versions_in_ids_are_those_that_the_ids_here_were_computed_with() -> None:
    versions = (EXTRACT_VERSION, PROBE_VERSION, GRAM_VERSION, SIMILARITY_VERSION, TEMPO_VERSION)
    assert versions == (1, 3, 1, 2, 1)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"kind": "ridge"}, "8dc8e3db6ef4cf6c"),
        (
            {"kind": "ridge", "name": "stiff", "alphas": [0.1, 10], "choose": "loo"},
            "0ad283316844da74",
        ),
        ({"kind": "linear"}, "53204a86a8c7410b"),
        ({"kind": "linear", "preset": "study", "weight_decay": 0.5}, "671564744d95cd69"),
        ({"kind": "mlp"}, "72973ac9d36ed5c0"),
        ({"kind": "mlp", "name": "study", "preset": "study", "seeds": 5}, "c259e55d396ae5b3"),
        (
            {
                "kind": "mlp",
                "hidden": [64, 32],
                "dropout": 0.25,
                "learning_rate": 0.01,
                "batch_size": 16,
                "epochs": 7,
                "patience": 2,
                "weight_decay": 0.1,
                "standardise": False,
                "early_stopping": False,
            },
            "ee71ca060539e9d0",
        ),
        ({"kind": "cca"}, "48d6a89bb55b6de8"),
        ({"kind": "cca", "variance": 0.9, "components": 3}, "2df66daf01cbb0c0"),
        ({"kind": "logistic"}, "5f5529df297dee8c"),
        ({"kind": "logistic", "alphas": [0.01]}, "2bbc9187183545ca"),
        ({"kind": "knn"}, "06a5fcd414e82285"),
        ({"kind": "knn", "k": [7, 2], "metric": "cosine"}, "d2de88b7e62850a7"),
        ({"kind": "mdl"}, "33708ef70885ed00"),
        ({"kind": "mdl", "precision": 0.1, "seeds": 4}, "529b7ea7fc32adb3"),
    ],
)
def test_settings_of_probes(settings: dict[str, Any], expected: str) -> None:
    identity = TypeAdapter[Any](ProbeSettings).validate_python(settings).identity()
    assert content_id(identity) == expected, canonical_json(identity)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"kind": "splits"}, "f8e0360eb6d1431e"),
        (
            {
                "kind": "splits",
                "train": "t",
                "validation": None,
                "test": "e",
                "allow_speaker_overlap": True,
            },
            "bc9ea8cc98b53bf1",
        ),
        ({"kind": "kfold"}, "5a10e6239a46a59c"),
        (
            {"kind": "kfold", "folds": 2, "group": "room", "allow_speaker_overlap": True},
            "8bd81127b5c91985",
        ),
    ],
)
def test_settings_of_protocols(settings: dict[str, Any], expected: str) -> None:
    identity = TypeAdapter[Any](ProtocolSettings).validate_python(settings).identity()
    assert content_id(identity) == expected, canonical_json(identity)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "f3812ba667e8a3ec"),
        ({"max_frames": 300}, "a07cbeb36ca157be"),
        ({"max_frames": 300, "crop": "centre"}, "42dbfeb50c04d08b"),
        ({"max_frames": 300, "crop": "windows"}, "4e30821638a08991"),
        ({"pad_to": 400}, "21fb6115218ccf79"),
    ],
)
def test_settings_of_features(settings: dict[str, Any], expected: str) -> None:
    identity = FeatureSettings.model_validate(settings).identity()
    assert content_id(identity) == expected, canonical_json(identity)


def test_digests_of_the_utterance_table() -> None:
    table = golden.table()
    kfold = TypeAdapter[Any](ProtocolSettings).validate_python({**KFOLD, "group": "room"})
    stretched = stretched_rows(["F-0", "G-1"], [0.8, 1.25], table)
    assert {
        "audio": audio_digest_of_table(table),
        "numbers": label_digest(table, "cps"),
        "numbers with a gap": label_digest(table, "pause"),
        "classes": label_digest(table, "sex"),
        "groups": groups_digest(kfold, table),
        "stretched audio": audio_digest_of_table(stretched),
    } == {
        "audio": "9f8bc6fb2fc12a0dfaaf1c374f42a978f74cbfda85721226158339e999661807",
        "numbers": "1e024fd8c51836a50e56f0d58a7c5559ba04b8ad62f07a6c5a614c0d49bd3cb3",
        "numbers with a gap": "037502386dcf10262b21330d908d1a6d6317dfdb2fec69038785f0936b77309d",
        "classes": "83880070c83bdcf53a3cedf5dc4accc4e4befa8110136bdb5d0b1cf1ad0a255d",
        "groups": "b9ed8a8f56c290b6d1d80932ea37983e825c93df68b3884a32f9a6a592b6fbb8",
        "stretched audio": "99ed3bdf44851965385d6bf0bfb08c2fa737f9d825d3e1c0922f2b7a0b7415fb",
    }
    assert list(stretched["audio_digest"]) == [
        "audio of F-0*0.8 v1",
        "audio of G-1*0.8 v1",
        "audio of F-0*1.25 v1",
        "audio of G-1*1.25 v1",
    ]
