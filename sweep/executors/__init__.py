"""Executors: where jobs run. The only package of ``sweep`` that imports ray."""
