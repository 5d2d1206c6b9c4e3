"""The claims of a run: the same text in terminal, status, report and methods."""

from functools import lru_cache

from sweep.report.text.beyond import beyond_findings
from sweep.report.text.findings import findings
from sweep.report.text.headlines import headlines
from sweep.results.claims import Claims
from sweep.results.run import Run


@lru_cache(maxsize=1)
def claims_of(run: Run) -> Claims:
    """Write the headlines and findings of ``run``; several parts of a report need them."""
    tables = run.curves.layers, run.models, run.differences
    beyond = run.analysis_tables.get("beyond")
    added = [] if beyond is None else beyond_findings(beyond)
    return Claims(tuple(headlines(*tables)), (*findings(*tables), *added))
