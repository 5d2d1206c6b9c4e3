"""Baselines: what a model must beat, as models of one layer.

To add one, add its name to `BaselineSettings.what` and its network to `networks.BASELINES`.
"""
