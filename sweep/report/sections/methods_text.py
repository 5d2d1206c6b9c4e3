"""The methods text, to be copied into a paper."""

from sweep.report.section import Content, Document, Section
from sweep.results.run import Run


def _render(run: Run) -> Content | None:
    """Read ``methods.md``, which the report writes before its sections are rendered."""
    if not run.folder.methods.exists():
        return None
    return Content(documents=[Document("methods.md", run.folder.methods.read_text(), prose=True)])


SECTION = Section("methods", "Methods", _render)
