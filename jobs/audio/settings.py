"""Settings of the input features of networks."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from jobs.settings import Settings

Frames = Annotated[int, Field(ge=1, le=1_000_000)]
"""A number of 10 ms frames, up to about three hours."""


Window = Literal["hamming", "povey"]
"""Window of the frames of filterbank features."""


class FeatureSettings(Settings):
    """Input features of the models."""

    EXAMPLES = ("{max_frames: 300, crop: centre, pad_to: 300}",)

    max_frames: Frames | None = None
    """Maximum number of 10 ms frames given to a model, cut out before mean normalisation. null:
    all."""
    crop: Literal["start", "centre", "windows"] = "start"
    """Frames kept of a longer utterance: the first; the middle ones; or all, in windows of
    ``max_frames`` over which the pooled activations are averaged."""
    pad_to: Frames | None = None
    """Pad shorter utterances to this number of frames, with zeros after mean normalisation. The
    model sees them as if they were speech: for reproducing studies that padded. null: no padding.
    """

    @model_validator(mode="after")
    def _crop_needs_a_length(self) -> "FeatureSettings":
        if self.crop != "start" and self.max_frames is None:
            raise ValueError(
                f"crop: {self.crop} needs the number of frames: add max_frames, or remove crop"
            )
        return self

    def identity(self) -> dict[str, object]:
        """Return the settings that change the numbers.

        ``crop`` and ``pad_to`` at their defaults are left out, as in ids from before they existed.
        """
        unused = {
            name
            for name, default in (("crop", "start"), ("pad_to", None))
            if getattr(self, name) == default
        }
        return self.model_dump(mode="json", exclude=unused)
