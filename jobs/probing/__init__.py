"""Probing: fitting and scoring every cell of a layer."""
