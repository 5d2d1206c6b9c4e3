"""Several runs beside each other: what differs in their settings, and in their scores.

`settings` finds the differences between specs, `scores` aligns layers and compares them in pairs,
the other modules show both. Runs are read through `sweep.results`, and figures, tables and page
are those of `sweep.report`.
"""
