import json
import os
import secrets
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml

from jobs.models.wespeaker.folders import INCLUDED
from sweep.commands.submit_job import (
    SOURCES,
    SubmitError,
    build_wheel,
    entrypoint,
    make_package,
    submit,
)
from sweep.errors import ClusterError, SpecError
from sweep.executors.job_submission import submit_entrypoint
from sweep.own_packages import ROOT
from sweep.plan.provenance import git_state
from sweep.spec.loading import load_spec
from sweep.spec.schema import Spec
from tests.conftest import Values
from tests.support import ray_nodes


def test_the_wheel_and_the_spec_are_shipped_and_nothing_that_lies_beside_them(
    spec_values: Values, tmp_path: Path
) -> None:
    root = tmp_path / "checkout"
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        root.mkdir(exist_ok=True)
        copy(ROOT / name, root / name)
    secret = secrets.token_hex(16)
    for place in (".env", ".git/config", "data/key", "results/x", "sweep/.env", "jobs/id_rsa"):
        (root / place).parent.mkdir(exist_ok=True)
        (root / place).write_text(secret)
    before = {path for path in root.rglob("*") if "__pycache__" not in path.parts}
    spec = Spec.model_validate(spec_values)
    package = make_package(spec, tmp_path / "made", root)
    shipped = {str(path.relative_to(package)) for path in package.rglob("*") if path.is_file()}
    assert {
        "spec.yaml",
        "sweep/commands/app.py",
        "jobs/workers/node.py",
        "sweep/py.typed",
    } <= shipped
    assert any(name.startswith("jobs/models/wespeaker/checkpoints/") for name in shipped)
    tops = {name.partition("/")[0] for name in shipped}
    assert tops == {"spec.yaml", "sweep", "jobs", "probing_sweep-0.1.0.dist-info"}
    assert not any(secret.encode() in (package / name).read_bytes() for name in shipped)
    assert load_spec(package / "spec.yaml") == spec
    after = {path for path in root.rglob("*") if "__pycache__" not in path.parts}
    assert after == before, "the checkout was written to"


def test_an_installed_wheel_is_shipped_as_it_is(spec_values: Values, tmp_path: Path) -> None:
    installed = tmp_path / "site-packages"
    with zipfile.ZipFile(build_wheel(tmp_path)) as wheel:
        wheel.extractall(installed)
    (installed / "jobs" / "__pycache__").mkdir()
    for beside in ("numpy.py", "jobs/id_rsa", "jobs/__pycache__/node.pyc"):
        (installed / beside).write_text("of somebody else")
    package = make_package(Spec.model_validate(spec_values), tmp_path / "made", installed)
    shipped = {str(path.relative_to(package)) for path in package.rglob("*") if path.is_file()}
    assert shipped == {"spec.yaml", "sweep/revision.json", *wheel.namelist()}


def test_a_place_without_source_or_wheel_has_nothing_to_ship(
    spec_values: Values, tmp_path: Path
) -> None:
    message = r"expected its source with pyproject\.toml, or the wheel installed, in"
    with pytest.raises(SubmitError, match=message):
        make_package(Spec.model_validate(spec_values), tmp_path, tmp_path / "site-packages")


def test_every_relative_path_is_refused_at_its_place(
    spec_values: Values, write_spec: Callable[[Values], Path]
) -> None:
    spec_values["corpus"] = {"kind": "csv", "path": {"train": "a.csv", "test": "/shared/b.csv"}}
    spec_values["models"] = [
        {"name": "own", "kind": "wespeaker", "checkpoint": "models/own"},
        {"name": "included", "kind": "wespeaker", "checkpoint": included()},
    ]
    with pytest.raises(SpecError) as refused:
        submit(write_spec(spec_values), "http://head:8265", out=Path("out"), cache=None)
    cache, out, corpus, model = str(refused.value).splitlines()
    assert cache.startswith("--cache:1:1: expected an absolute path")
    assert out.startswith("--out out:1:1: expected an absolute path")
    assert "spec.yaml:5:12: corpus.path.train: a.csv is relative" in corpus
    assert "--set models.0.checkpoint=/shared/own" in model


def included() -> str:
    """The name of a checkpoint that comes with the project."""
    return next(INCLUDED.iterdir()).name


def test_the_entrypoint_survives_a_shell(tmp_path: Path) -> None:
    out = Path("/shared/a b; touch x $(y)")
    command = ["submit", "it's.yaml"]
    text = entrypoint(out, Path("/shared/c"), unlock=True, command=command)
    show = text.replace("python -m sweep", f"{sys.executable} -c {shlex.quote(SHOW)}")
    done = subprocess.run(show, shell=True, capture_output=True, text=True, check=True)
    arguments, submitted = json.loads(done.stdout)
    assert arguments == [
        "run", "spec.yaml", "--address", "auto", "--display", "plain",
        "--out", str(out), "--cache", "/shared/c", "--unlock",
    ]  # fmt: skip
    assert shlex.split(submitted) == command


SHOW = "import json, os, sys; print(json.dumps([sys.argv[1:], os.environ['SWEEP_COMMAND']]))"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("head:8265", "expected http://HOST:8265"),
        ("ray://head:10001", "expected http://HOST:8265"),
        ("http://127.0.0.1:1", "no Ray cluster answers at"),
    ],
)
def test_an_address_where_no_dashboard_is_is_refused(
    url: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ClusterError, match=message):
        submit_entrypoint(url, "true", tmp_path)


def test_a_cluster_runs_what_is_submitted_and_only_for_who_has_the_token(
    spec_values: Values, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")  # somebody else's; must not be used
    monkeypatch.setenv("MY_SECRET", secret := secrets.token_hex(16))
    spec_values["models"] = spec_values["models"][:1]
    spec_values |= {"layers": [-1], "probes": [{"kind": "ridge"}], "controls": []}
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(spec_values))
    out = tmp_path / "shared" / "run"
    with ray_nodes.head(tmp_path, cpus=1, dashboard=True) as head:
        command = [
            sys.executable, "-m", "sweep", "submit", "spec.yaml", "--address", head.dashboard,
            "--out", str(out), "--cache", str(cache), "--set", "bootstrap.resamples=150",
        ]  # fmt: skip
        call = {"cwd": tmp_path, "capture_output": True, "text": True, "timeout": 120}
        stranger = subprocess.run(
            command, env={**os.environ, "RAY_AUTH_TOKEN": "wrong" * 8}, check=False, **call
        )  # type: ignore[call-overload]
        submitted = subprocess.run(command, check=False, **call)  # type: ignore[call-overload]
        assert submitted.returncode == 0, submitted.stderr
        watched = subprocess.run(
            [sys.executable, "-m", "sweep", "watch", str(out)], check=False, **call
        )  # type: ignore[call-overload]
    assert stranger.returncode == 3
    assert "set RAY_AUTH_MODE=token" in stranger.stderr
    assert "Traceback" not in stranger.stderr
    assert submitted.stdout.startswith("raysubmit_")
    assert f"sweep watch {out}" in submitted.stderr
    assert watched.returncode == 0, watched.stderr
    layers = pd.read_csv(out / "tables" / "metrics.csv")["layer"]
    assert set(layers) == {"embedding", "statistics", "duration"}
    assert yaml.safe_load((out / "spec.yaml").read_text())["bootstrap"]["resamples"] == 150
    [session] = json.loads((out / "provenance.json").read_text())["runs"]
    assert session["arguments"] == command[3:]
    assert session["git"] == git_state(ROOT)
    assert secret not in "".join(
        path.read_text(errors="replace") for path in out.rglob("*") if path.is_file()
    )
