"""No sentence about a run contradicts a table of the run, whatever its results are."""

from sweep.report.text.findings import findings
from sweep.report.text.headlines import headlines
from tests.support.made_runs import MadeRun
from tests.support.read_sentences import PATTERNS, Reader, Tables

SEEDS = (2, 8, 9, 14, 21, 27, 34, 40)
"""Runs that have every kind of sentence; the reading held for seeds 0 to 79."""


def read(seed):
    """Check all sentences of a made-up run; return the kinds of sentences that it has."""
    run = MadeRun(seed)
    reader = Reader(Tables(*run.tables))
    reader.check_headlines(headlines(*run.tables))
    reader.check_findings(findings(*run.tables))
    return reader.kinds


def test_every_sentence_agrees_with_the_tables_of_its_run():
    seen = {kind for seed in SEEDS for kind in read(seed)}
    assert seen == set(PATTERNS)
