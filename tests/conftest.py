"""What several test files share: a small synthetic corpus and a spec that sweeps it in seconds."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

Values = dict[str, Any]


def _usual_signals() -> None:
    # What a script starts in the background ignores Ctrl-C, and so would what the tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


_usual_signals()


@pytest.fixture(autouse=True)
def _own_signals() -> Iterator[None]:
    """A command that ends leaves handlers for the end of its process, which the tests' is not.

    Fixtures of a module run before this one, so the handlers are set, and not kept, here.
    """
    _usual_signals()
    yield
    _usual_signals()


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One activation cache for the session: the corpus is spoken once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def spec_values() -> Values:
    """A valid spec: two tiny untrained networks, 14 voices, three probes."""
    return {
        "name": "tiny",
        "corpus": {
            "kind": "espeak",
            "speakers": {"train": 6, "validation": 4, "test": 4},
            "utterances_per_speaker": 5,
        },
        "models": [
            {"name": "a", "kind": "wespeaker", "architecture": "SimAM_ResNet34_ASP",
             "model_args": {"in_planes": 2, "embed_dim": 16}, "seed": 0},
            {"name": "b", "kind": "wespeaker", "architecture": "SimAM_ResNet34_ASP",
             "model_args": {"in_planes": 2, "embed_dim": 16}, "seed": 1},
        ],
        "layers": ["stem", "layer2.*.relu2", "pooling", -1],
        "probes": [
            {"kind": "ridge"},
            {"kind": "mlp", "hidden": [8], "epochs": 3, "seeds": 2},
            {"kind": "cca"},
        ],
        "controls": ["shuffled"],
        "baselines": ["mean", "duration", "fbank"],
        "bootstrap": {"resamples": 100},
    }  # fmt: skip


@pytest.fixture
def write_spec(tmp_path: Path) -> Callable[[Values], Path]:
    """Writes values as a YAML spec and returns its path."""

    def write(values: Values) -> Path:
        path = tmp_path / "spec.yaml"
        path.write_text(yaml.safe_dump(values, sort_keys=False))
        return path

    return write
