"""The sections of the report, one module each, in the order of the page.

A section may import tables, figures and texts of the report and everything below it, but no other
section. To add one, write a module with a `sweep.report.section.Section` and list it in
`SECTIONS`: its ``render(run)`` writes the files that belong to it and returns what the page shows.
"""

from sweep.report.section import Section
from sweep.report.sections import (
    beyond,
    curves,
    failures,
    findings,
    glossary,
    heatmap,
    joint_cca,
    layers,
    learning,
    methods_text,
    models,
    predictions,
    provenance,
    residuals,
    similarity,
    summary,
    tempo,
)

SECTIONS: tuple[Section, ...] = (
    summary.SECTION,
    glossary.SECTION,
    models.SECTION,
    findings.SECTION,
    curves.SECTION,
    heatmap.SECTION,
    predictions.SECTION,
    residuals.SECTION,
    beyond.SECTION,
    learning.SECTION,
    joint_cca.SECTION,
    tempo.SECTION,
    similarity.SECTION,
    layers.SECTION,
    failures.SECTION,
    methods_text.SECTION,
    provenance.SECTION,
)
