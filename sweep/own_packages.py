"""Find this project's packages, ``sweep`` and ``jobs``, where a user has others of these names.

A folder ``jobs`` or a file ``sweep.py`` beside a spec is common. Python searches the working
directory (``python -m``, notebooks) and ``PYTHONPATH`` before installed packages.
"""

import importlib
import os
import sys
from importlib.machinery import PathFinder
from pathlib import Path

ROOT = Path(__file__).parents[1]
"""The folder that holds both packages: a checkout, or ``site-packages``."""
DISTRIBUTION = "probing-sweep"
"""What pip calls them together."""


def import_own_jobs() -> None:
    """Import the ``jobs`` beside ``sweep``, whatever comes first on ``sys.path``.

    Raises:
        ImportError: this process has already imported another module of that name.
    """
    sys.path.insert(0, str(ROOT))
    try:
        found = importlib.import_module("jobs").__file__
    finally:
        sys.path.remove(str(ROOT))
    if found is None or Path(found).parent != ROOT / "jobs":
        raise ImportError(
            f"sweep needs its own package jobs ({ROOT / 'jobs'}), and {found or 'another one'} is "
            "already imported under that name: import sweep first, or rename yours"
        )


def search_own_packages_first() -> None:
    """Let this process, and those that it starts, search ``ROOT`` before a user's folders.

    ``sys.path`` and ``PYTHONPATH`` stay as they are where nothing hides the packages.
    """
    # pip's finder of an editable installation is asked last: None means that nothing hides it.
    found = PathFinder.find_spec("jobs")
    if found is None or found.origin == str(ROOT / "jobs" / "__init__.py"):
        return
    sys.path.insert(0, str(ROOT))
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *([before] if before else [])])
