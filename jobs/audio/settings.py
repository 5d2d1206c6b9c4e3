"""Settings of the features that networks are given."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from jobs.settings import Settings


class FeatureSettings(Settings):
    """Settings that change the features."""

    max_frames: Annotated[int, Field(ge=1)] | None = None
    """Maximum number of frames given to a network, cut out before mean normalisation; None: all."""
    crop: Literal["start", "centre", "windows"] = "start"
    """Frames kept of a longer utterance: the first; the middle ones; or all, in windows of
    ``max_frames`` (see `jobs.audio.features.pieces`) over which pooled activations are averaged."""
    pad_to: Annotated[int, Field(ge=1)] | None = None
    """Pad shorter utterances to this number of frames, with zeros after mean normalisation. The
    network sees them as if they were speech, in any batch: for reproducing studies that padded."""

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
