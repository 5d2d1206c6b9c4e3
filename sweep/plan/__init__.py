"""The plan of a run: its cells, activation sets and identities.

Plans are made from a spec, an utterance table and descriptions of the models; nothing here reads
audio or weights. It imports `jobs` and `sweep.spec`, and nothing of `sweep` that runs jobs.
"""
