"""Extraction: from audio files to the pooled activations of every layer, in one forward pass.

Imports `jobs.models`, `jobs.audio`, `jobs.activations` and `jobs.gram`. Batches of a
new kind are formed in `batches` and run in `forward`.
"""
