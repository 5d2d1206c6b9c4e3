"""Tables of the report: rounded cells, from data frames to Markdown, LaTeX and the page.

`cells` formats values, the ``*_tables`` modules choose columns and rows, `markup` writes them as
text, `files` puts them on disk. To add a table, build a `markup.Table` with `cells.assemble` and
return it from a section.
"""
