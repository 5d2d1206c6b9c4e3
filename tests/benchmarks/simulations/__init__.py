"""Simulated coverage, width, size and power of the statistics: ``STATISTICS.md`` and its script."""
