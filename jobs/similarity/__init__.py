"""Similarity of layers: the measures, and the jobs that compute them."""
