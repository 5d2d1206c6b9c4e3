"""A finished run in the formats of others: the speech-rate study, ChromaDB, data hubs.

`study` writes the study's folder, with names and columns that do not change; `parquet` is a
package that writes parquet and safetensors with a card. Exports read a run through
`sweep.results` and share tables and figures with `sweep.report`; to add a file to the study's
folder, write its module and call it from `study`.
"""
