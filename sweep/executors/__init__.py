"""Where jobs run: in this process, or on Ray.

With ``jobs.workers`` the only package that may import Ray. It imports ``jobs`` and lower levels of
``sweep``, and knows no kind of job. To add an executor, write a class with the methods of
``base.Executor`` in a file of its own and add a row to ``registry.EXECUTORS``.
"""
