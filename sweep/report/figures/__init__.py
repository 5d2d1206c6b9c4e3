"""Figures of the report, drawn from the tables' data frames with matplotlib, without pyplot.

Modules here import nothing of the report but ``tables.cells`` and ``tables.markup``. `scores`
declares what curves can show, `style` how figures look and are saved. To add a figure, write a
function that saves it with `style.save`, and call it from a section.
"""
