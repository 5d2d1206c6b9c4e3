"""Jobs: the work of a sweep, as functions of their arguments.

Nothing here knows about specs, grids, ledgers or schedulers, and nothing imports ``sweep``.
"""
