"""Packages that only some models, corpora, targets and outputs need, and how to install each.

A package goes into this table, and, unless it is installed without its dependencies, into an extra
of ``pyproject.toml``. Everything that needs one asks here, so that whatever is missing is reported
in the same words, with the command that installs it.
"""

import importlib
import sys
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any


class MissingPackageError(ImportError):
    """An optional package is not installed; the message has the command that installs it."""


@dataclass(frozen=True)
class OptionalPackage:
    """A package that is installed on request."""

    name: str
    """What pip calls it."""
    module: str
    """What Python calls it."""
    with_dependencies: bool = True
    """False: pip is told ``--no-deps``, for what is used of it needs none of what it asks for."""

    @property
    def command(self) -> str:
        """Installs it."""
        return f"pip install {'' if self.with_dependencies else '--no-deps '}{self.name}"

    @property
    def version(self) -> str:
        """The installed version.

        Raises:
            MissingPackageError: there is none.
        """
        self.require()
        return version(self.name)

    def missing(self) -> str | None:
        """A sentence with what to install; None if the package is there."""
        if sys.modules.get(self.module) is not None or find_spec(self.module) is not None:
            return None
        return f"the package {self.name} is not installed: {self.command}"

    def require(self) -> None:
        """Do nothing if the package is installed.

        Raises:
            MissingPackageError: it is not.
        """
        reason = self.missing()
        if reason is not None:
            raise MissingPackageError(reason, name=self.module)

    def load(self, submodule: str = "") -> Any:
        """Import the package's module, or a module in it.

        Args:
            submodule: dotted path below the package's module; "" for the module itself.

        Raises:
            MissingPackageError: the package is not installed.
            ImportError: it is, and cannot be imported.
        """
        self.require()
        return importlib.import_module(f"{self.module}.{submodule}" if submodule else self.module)


CHROMADB = OptionalPackage("chromadb", "chromadb")
# GPL-3.0-or-later: espeak-ng and Praat.
ESPEAK = OptionalPackage("espeakng-loader", "espeakng_loader")
GCSFS = OptionalPackage("gcsfs", "gcsfs")
LHOTSE = OptionalPackage("lhotse", "lhotse")
PARSELMOUTH = OptionalPackage("praat-parselmouth", "parselmouth")
PYARROW = OptionalPackage("pyarrow", "pyarrow")
PYTHON_STRETCH = OptionalPackage("python-stretch", "python_stretch")
S3FS = OptionalPackage("s3fs", "s3fs")
SILERO_VAD = OptionalPackage("silero-vad", "silero_vad")
# It asks for torchaudio, whisper, s3prl, umap and more; its networks need torch alone.
WESPEAKER = OptionalPackage("wespeaker-unofficial", "wespeaker", with_dependencies=False)

OPTIONAL_PACKAGES = (
    CHROMADB, ESPEAK, GCSFS, LHOTSE, PARSELMOUTH, PYARROW, PYTHON_STRETCH, S3FS, SILERO_VAD,
    WESPEAKER,
)  # fmt: skip
