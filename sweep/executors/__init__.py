"""Executors: places to run jobs, in this process or on Ray.

Only this package and ``jobs.workers`` may import Ray. It imports ``jobs`` and lower levels of
``sweep``, and is independent of the kinds of jobs. To add an executor, write a class with the
methods of ``base.Executor`` in its own file and add a row to ``registry.EXECUTORS``.
"""
