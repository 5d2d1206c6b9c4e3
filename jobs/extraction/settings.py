"""Settings of an extraction."""

from jobs.activations.dtype import Dtype
from jobs.audio.settings import FeatureSettings
from jobs.models import AnyModelSettings
from jobs.models.taps import Pooling
from jobs.settings import Settings

EXTRACT_VERSION = 1
"""Part of every activation id: raised when the same settings give other activations than before."""


class ExtractSettings(Settings):
    """Settings that change the activations."""

    model: AnyModelSettings
    features: FeatureSettings = FeatureSettings()
    pooling: Pooling = "mean"
    dtype: Dtype = "float32"
    """Type of the stored values; the precision of the computation is the model's ``precision``."""
