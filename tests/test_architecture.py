"""The house keeps its shape: who may import whom."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted([*ROOT.glob("jobs/**/*.py"), *ROOT.glob("sweep/**/*.py")])
RAY_EDGES = {"sweep/executors/session.py", "jobs/workers/ray_workers.py"}


def imported(path: Path) -> set[str]:
    """Top-level packages that a module imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add((node.module or "").partition(".")[0])
    return names


def test_there_are_modules_to_check() -> None:
    assert len(MODULES) > 40


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_from_sweep_to_jobs_and_ray_stays_at_the_edges(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    packages = imported(path)
    if name.startswith("jobs/"):
        assert "sweep" not in packages
    if name not in RAY_EDGES:
        assert "ray" not in packages
    if name != "jobs/models/wespeaker/package.py":
        assert "wespeaker" not in packages
    assert "tests" not in packages


def test_the_edges_do_import_ray() -> None:
    for name in RAY_EDGES:
        assert "ray" in imported(ROOT / name)
