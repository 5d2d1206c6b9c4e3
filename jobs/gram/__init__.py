"""Sufficient statistics in place of activations (``store: gram``), and the probes fitted to them.

Imports `jobs.activations`, `jobs.corpus`, `jobs.probes`, `jobs.protocol` and `jobs.statistics`. To
add a probe that needs only these sums, name its kind in `fit.GRAM_PROBES` and fit it in `fit`.
"""
