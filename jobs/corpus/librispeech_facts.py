"""Known statistics of LibriSpeech's subsets, to compare with those of a copy."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Fact:
    """The known value of a statistic of ``jobs.corpus.summary.describe_split``."""

    value: float
    tolerance: float = 0.0
    """Allowed deviation of an intact copy; counts must agree exactly."""

    def difference(self, found: float | None) -> float | None:
        """Return found − known if it exceeds the tolerance, 0.0 if not, None without ``found``."""
        if found is None:
            return None
        difference = found - self.value
        return difference if abs(difference) > self.tolerance else 0.0


ROUNDING = 0.05
"""Hours and mean seconds are known to one decimal."""


def _subset(utterances: int, speakers: int, hours: float, mean_seconds: float) -> dict[str, Fact]:
    return {
        "utterances": Fact(utterances),
        "speakers": Fact(speakers),
        "hours": Fact(hours, ROUNDING),
        "mean seconds": Fact(mean_seconds, ROUNDING),
    }


# About twice the standard error of the difference between two samples of 40 speakers, one of
# them of 579 utterances; that of the ICC by L. A. Swiger et al., Biometrics 20 (1964), 818–826.
_LETTERS = {
    "cps mean": Fact(12.0, 1.0),
    "cps SD": Fact(2.1, 0.4),
    "cps ICC": Fact(0.38, 0.17),
}
"""Letters per second, as measured on 579 utterances of test-clean; dev-clean is similar."""

LIBRISPEECH: Mapping[str, Mapping[str, Fact]] = {
    "dev-clean": _subset(2703, 40, 5.4, 7.2) | _LETTERS,
    "test-clean": _subset(2620, 40, 5.4, 7.4) | _LETTERS,
    "train-clean-100": _subset(28539, 251, 100.6, 12.7),
}
"""Subset → name of a statistic → its known value.

Speakers and hours: V. Panayotov et al., Librispeech: an ASR corpus based on public domain audio
books, ICASSP 2015, table 1. Utterances: the FLAC files in the archives of openslr.org/12; mean
seconds follow from both.
"""
