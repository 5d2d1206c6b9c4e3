"""The architecture: which package may import which, and where Ray is."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted([*ROOT.glob("jobs/**/*.py"), *ROOT.glob("sweep/**/*.py")])
RAY_EDGES = ("sweep/executors/", "jobs/workers/")
"""The only packages that may import Ray."""
LEVELS = {
    "jobs": """
        job arrays identity optional_packages process progress secrets settings yaml_reader
        ties user_code
        audio storage
        corpus downloads protocol
        models statistics targets activations
        probes similarity
        gram
        extraction
        probing
        beyond
        workers
    """,
    "sweep": """
        errors own_packages signals streams wording work_queue
        tracking
        spec
        drafts
        plan
        state
        analyses
        executors
        prepare
        progress
        results
        report
        comparison export
        running
        commands
        __main__
    """,
}
"""The packages and modules from low to high: each may import those on lower lines."""


def imported(path: Path) -> set[str]:
    """Dotted names of the modules that a module imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def levels(root: str) -> dict[str, int]:
    """Package or module below ``root`` → its level."""
    lines = LEVELS[root].strip().splitlines()
    return {name: level for level, line in enumerate(lines) for name in line.split()}


def edges(root: str) -> Iterator[tuple[str, str, Path]]:
    """Imports between packages: who, whom, and where."""
    known = levels(root)
    for path in (ROOT / root).rglob("*.py"):
        importer = path.relative_to(ROOT / root).parts[0].removesuffix(".py")
        for name in imported(path):
            top, _, below = name.partition(".")
            package = below.partition(".")[0]
            if top == root and package in known and importer not in ("__init__", package):
                yield importer, package, path.relative_to(ROOT)


def test_there_are_modules_to_check() -> None:
    assert len(MODULES) > 40


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_from_sweep_to_jobs_and_ray_stays_at_the_edges(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    packages = {module.partition(".")[0] for module in imported(path)}
    if name.startswith("jobs/"):
        assert "sweep" not in packages
    if not name.startswith(RAY_EDGES):
        assert "ray" not in packages
    if name != "jobs/models/wespeaker/package.py":
        assert "wespeaker" not in packages
    assert "tests" not in packages


@pytest.mark.parametrize("root", LEVELS)
def test_every_package_has_a_level(root: str) -> None:
    found = {path.stem for path in (ROOT / root).glob("*.py")} - {"__init__"}
    found |= {path.parent.name for path in (ROOT / root).glob("*/__init__.py")}
    assert found == levels(root).keys()


@pytest.mark.parametrize("root", LEVELS)
def test_packages_import_only_lower_ones(root: str) -> None:
    level = levels(root)
    upwards = {
        f"{path}: {importer} imports {name}"
        for importer, name, path in edges(root)
        if level[name] >= level[importer]
    }
    assert upwards == set()
