"""Running text of the report: findings, glossary and footnotes.

Modules here return sentences and write no files; sections and tables show them. The methods text is
in its own package, `sweep.report.methods`.
"""
