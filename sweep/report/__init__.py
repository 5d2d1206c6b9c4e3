"""The report of a run: tables, figures, texts and ``report.html``, from reduced records alone.

`build` loops over `sections`, each a row of `sections.SECTIONS`; `page` renders them with the
templates. The report imports ``sweep.results`` and lower packages, never executors or the driver.
To add a section, see `sweep.report.sections`.
"""
