"""Import of network modules from the ``wespeaker`` package, without its dependencies.

``import wespeaker`` runs its ``__init__``, which imports the command line: torchaudio, umap,
silero-vad, s3prl. The networks in ``wespeaker.models`` need only torch. While one of them is
imported, a bare module with the package's ``__path__`` therefore replaces the package. Afterwards
it and all modules imported through it are removed from ``sys.modules``, so that a later
``import wespeaker`` is unaffected.
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
    """Import ``wespeaker.models.<name>``, such as ``samresnet``, without running ``__init__``.

    If ``wespeaker`` is already imported, it is used as it is. Every call returns the same
    module.

    Raises:
        MissingPackageError: WeSpeaker is not installed.
        ImportError: WeSpeaker has no such module.
    """
    full_name = f"{_PACKAGE}.models.{name}"
    if sys.modules.get(_PACKAGE) is not None:
        return importlib.import_module(full_name)
    WESPEAKER.require()
    # For a name without dots, find_spec locates the package without executing it.
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
