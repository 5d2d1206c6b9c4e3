"""``report/methods.md``: a paper's methods section, generated from a run's plan and provenance.

One module per subsection, each a generator of sentences about a `Run`; `document.PARTS` lists
them. Sentences about an optional analysis come from its report section (`sweep.report.sections`),
those about a probe from its settings' ``describe``. Works cited are rows of `references`.
"""
