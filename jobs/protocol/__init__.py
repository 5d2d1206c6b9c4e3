"""Protocols: cells, folds and predictions."""
