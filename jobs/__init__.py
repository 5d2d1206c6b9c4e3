"""What runs, wherever it is put: a job is a function of its arguments.

Nothing here knows of specs, grids, ledgers or schedulers, and nothing here imports ``sweep``.
"""
