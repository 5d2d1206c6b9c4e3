"""Extraction: from audio files to the activations of every layer, in one forward pass."""
