"""The base of the settings of corpora."""

from jobs.settings import Settings


class CorpusSettings(Settings):
    """Settings of a corpus; each reader has a subclass with its own literal ``kind``."""

    kind: str
    """Kind of corpus."""
