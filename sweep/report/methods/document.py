"""The methods document: its parts in order, and the references that they cite."""

from collections.abc import Callable, Iterable, Iterator

from sweep.report.methods import (
    aggregation,
    data,
    evaluation,
    probes,
    representations,
    software,
    statistics,
)
from sweep.report.methods.references import REFERENCES
from sweep.report.methods.wording import plain
from sweep.report.section import Section
from sweep.report.text.claims import claims_of
from sweep.results.run import Run

_STATISTICS = "Statistics"
PARTS: dict[str, Callable[[Run], Iterator[str]]] = {
    "Result": lambda run: map(plain, claims_of(run).headlines),
    "Data": data.sentences,
    "Representations": representations.sentences,
    "Probes": probes.sentences,
    "Evaluation": evaluation.sentences,
    "Averages and intervals": aggregation.sentences,
    _STATISTICS: statistics.sentences,
    "Software": software.sentences,
}
"""Sentences by heading."""


def methods(run: Run, sections: Iterable[Section] = ()) -> str:
    """Write the methods of ``run`` as Markdown.

    Args:
        run: the run.
        sections: sections of the report; their sentences on optional analyses end the subsection on
            statistics.
    """
    sentences = {title: list(part(run)) for title, part in PARTS.items()}
    for section in sections:
        if section.methods is not None:
            sentences[_STATISTICS] += section.methods(run)
    texts = {title: " ".join(part) for title, part in sentences.items() if part}
    whole = " ".join(texts.values())
    cited = [reference for name, reference in REFERENCES.items() if name in whole]
    parts = [f"# Methods\n\nGenerated from plan and provenance of {plain(run.plan.name)}."]
    parts += [f"## {title}\n\n{text}" for title, text in texts.items()]
    parts += ["## References\n\n" + "\n".join(f"- {reference}" for reference in cited)]
    return "\n\n".join(parts) + "\n"
