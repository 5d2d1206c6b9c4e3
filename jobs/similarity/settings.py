"""Settings of the comparison of layers."""

from typing import Annotated, Literal

from pydantic import Field

from jobs.settings import Seed, Settings

FEWEST = 10
"""Utterances that layers are compared on at least; unbiased CKA is defined from 4."""

Measure = Literal["cka", "pwcca"]


class SimilaritySettings(Settings):
    """Similarity of the layers of all models, each layer against every other."""

    EXAMPLES = ("{measures: [cka, pwcca], utterances: 1000, part: test, seed: 0}",)

    measures: Annotated[tuple[Measure, ...], Field(min_length=1)] = ("cka", "pwcca")
    """Measures: ``cka`` (unbiased linear CKA) and ``pwcca`` (projection-weighted CCA)."""
    utterances: Annotated[int, Field(ge=FEWEST, le=1_000_000_000)] = 1000
    """Largest number of utterances to compare on; the same for all models, drawn at random."""
    part: str | None = None
    """Split to compare on. By default the test split, and with folds the whole corpus."""
    seed: Seed = 0
    """Seed of the random choice of utterances."""
