"""A finished run as the files of the speech-rate study, and its embeddings in ChromaDB.

`study` writes the folder, the other modules one kind of file each. The names and columns are the
study's own and do not change. Exports read a run through `sweep.results` and share tables and
figures with `sweep.report`; to add a kind of file, write its module and call it from `study`.
"""
