"""The one place that imports from the ``wespeaker`` package.

``import wespeaker`` runs its ``__init__``, which imports the command line: torchaudio, umap,
silero-vad, s3prl. The networks in ``wespeaker.models`` need torch alone. So while one of them is
imported, a bare stand-in with the package's ``__path__`` takes the package's place. Afterwards it
and what was imported through it leave ``sys.modules``, so that a later ``import wespeaker`` runs as
if nothing had been.
"""

import functools
import importlib
import importlib.util
import sys
from types import ModuleType

from jobs.optional_packages import WESPEAKER

_PACKAGE = WESPEAKER.module


@functools.cache
def import_network_module(name: str) -> ModuleType:
    """``wespeaker.models.<name>``, such as ``samresnet``, without the package's ``__init__``.

    A real ``wespeaker`` that is already imported is used as it is. The module is the same one at
    every call.

    Raises:
        MissingPackageError: WeSpeaker is not installed.
        ImportError: it has no such module.
    """
    full_name = f"{_PACKAGE}.models.{name}"
    if sys.modules.get(_PACKAGE) is not None:
        return importlib.import_module(full_name)
    WESPEAKER.require()
    # For a name without dots find_spec locates the package and executes nothing.
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.submodule_search_locations is None:
        raise ImportError(f"{_PACKAGE} is a module, expected WeSpeaker's package", name=_PACKAGE)
    stand_in = ModuleType(_PACKAGE)
    stand_in.__path__ = list(spec.submodule_search_locations)
    sys.modules[_PACKAGE] = stand_in
    try:
        return importlib.import_module(full_name)
    finally:
        for imported in [m for m in sys.modules if m == _PACKAGE or m.startswith(f"{_PACKAGE}.")]:
            del sys.modules[imported]
