"""Packages that only some models, corpora, targets and outputs need, and how to install each.

To add a package, add it to this table and, unless it is installed without its dependencies, to an
extra in ``pyproject.toml``. All code that needs one loads it here, so that every missing package is
reported in the same words, with the command that installs it.
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
    """Name for pip."""
    module: str
    """Name of the module to import."""
    with_dependencies: bool = True
    """False: install with ``--no-deps``, as the modules used need none of its dependencies."""

    @property
    def command(self) -> str:
        """Command that installs the package."""
        return f"pip install {'' if self.with_dependencies else '--no-deps '}{self.name}"

    @property
    def version(self) -> str:
        """Version that is installed.

        Raises:
            MissingPackageError: the package is not installed.
        """
        self.require()
        return version(self.name)

    def missing(self) -> str | None:
        """Return a sentence that says what to install; None if the package is installed."""
        if sys.modules.get(self.module) is not None or find_spec(self.module) is not None:
            return None
        return f"the package {self.name} is not installed: {self.command}"

    def require(self) -> None:
        """Check that the package is installed.

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
            ImportError: it is installed but cannot be imported.
        """
        self.require()
        return importlib.import_module(f"{self.module}.{submodule}" if submodule else self.module)


ALEMBIC = OptionalPackage("alembic", "alembic")
CHROMADB = OptionalPackage("chromadb", "chromadb")
# espeak-ng and Praat are licensed under GPL-3.0-or-later.
ESPEAK = OptionalPackage("espeakng-loader", "espeakng_loader")
GCSFS = OptionalPackage("gcsfs", "gcsfs")
LHOTSE = OptionalPackage("lhotse", "lhotse")
# mlflow itself also brings a server and its pages; a local database needs SQLAlchemy and alembic.
MLFLOW = OptionalPackage("mlflow-skinny", "mlflow")
PARSELMOUTH = OptionalPackage("praat-parselmouth", "parselmouth")
PYARROW = OptionalPackage("pyarrow", "pyarrow")
PYTHON_STRETCH = OptionalPackage("python-stretch", "python_stretch")
S3FS = OptionalPackage("s3fs", "s3fs")
SILERO_VAD = OptionalPackage("silero-vad", "silero_vad")
SQLALCHEMY = OptionalPackage("sqlalchemy", "sqlalchemy")
TENSORBOARD = OptionalPackage("tensorboard", "tensorboard")
WANDB = OptionalPackage("wandb", "wandb")
# It depends on torchaudio, whisper, s3prl, umap and more; its networks need only torch.
WESPEAKER = OptionalPackage("wespeaker-unofficial", "wespeaker", with_dependencies=False)

OPTIONAL_PACKAGES = (
    ALEMBIC, CHROMADB, ESPEAK, GCSFS, LHOTSE, MLFLOW, PARSELMOUTH, PYARROW, PYTHON_STRETCH, S3FS,
    SILERO_VAD, SQLALCHEMY, TENSORBOARD, WANDB, WESPEAKER,
)  # fmt: skip
