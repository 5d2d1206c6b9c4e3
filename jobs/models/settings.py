"""Settings that all models have, whatever their family."""

from typing import Literal

from jobs.settings import Name, Settings

Precision = Literal["fp32", "tf32", "bf16"]
"""Arithmetic of convolutions and matrix products: a significand of 24 bits; of 11 bits, on NVIDIA
GPUs; or of 8 bits, where torch's autocast considers it safe. Sums are in float32 everywhere."""

BASELINE_PREFIX = "baseline:"
"""Prefix of the names of baseline models in specs, tables and plots."""


class ModelSettings(Settings):
    """Settings of one model; each family has a subclass with its own literal ``kind``."""

    name: Name
    """Name of the model in tables and plots."""
    kind: str
    """Model family."""


class NetworkSettings(ModelSettings):
    """Settings of a network whose arithmetic can be chosen."""

    precision: Precision = "fp32"
    """Precision of the computation; the error of ``tf32`` and ``bf16`` against ``fp32`` is measured
    on the first batch and reported."""
