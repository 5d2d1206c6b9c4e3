"""Activations on disk: shards of activation sets, their manifests and their index."""
