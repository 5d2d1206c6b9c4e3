"""Activations on disk: the shards of activation sets, their manifests and their index.

Imports `jobs.storage`, `jobs.audio` and the skipped utterances of `jobs.corpus`. To store another
kind of tensor, write it with `store.write_shard` and read it beside `store.read_layer`.
"""
