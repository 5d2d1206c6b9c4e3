"""Downloads: verified and resumable transfers, safe unpacking, and the catalogue of names.

Imports `jobs.storage` only. To offer a corpus or checkpoint by name, add it to `catalogue`.
"""
