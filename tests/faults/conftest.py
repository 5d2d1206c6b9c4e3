import secrets
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Values
from tests.faults.sweeps import Sweep
from tests.support.no_figures import draw_nothing

MakeSweep = Callable[[str], Sweep]


@pytest.fixture
def no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures take most of a small run's time, and no fault spares or breaks them."""
    draw_nothing(monkeypatch)


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clusters that begin, and those who use them, know a token."""
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))


@pytest.fixture
def values(spec_values: Values) -> Values:
    """Two models, their shards and a dozen quick layers: enough to be killed in the middle of."""
    spec_values["layers"] = ["stem", "layer1.*", "pooling", -1]
    spec_values["probes"] = [{"kind": "ridge"}]
    spec_values["controls"] = []
    spec_values["baselines"] = ["mean"]
    return spec_values


@pytest.fixture
def slow_layers(values: Values) -> None:
    """Each takes a second: there is time to do something to who is at it."""
    values["probes"] = [{"kind": "mlp", "hidden": [64], "epochs": 600, "patience": 600, "seeds": 5}]


@pytest.fixture
def make_sweep(values: Values, cache: Path, tmp_path: Path) -> MakeSweep:
    """Makes sweeps of ``values``, by name, each with a cache and a folder of its own."""
    return lambda name: Sweep.make(values, cache, tmp_path / name)


@pytest.fixture
def undisturbed(values: Values, cache: Path, no_plots: None) -> Sweep:
    """The same sweep, of which nothing died; run once, for all tests."""
    home = cache / "undisturbed"
    if home.exists():
        return Sweep.at(home)
    sweep = Sweep.make(values, cache, home)
    assert sweep.here().status == "done"
    return sweep
