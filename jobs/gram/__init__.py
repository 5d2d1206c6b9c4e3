"""Sufficient statistics in place of activations (``store: gram``): sums, and probes fitted to
them."""
