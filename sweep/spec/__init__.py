"""The spec as the user writes it: its settings, loaded with the position of every value.

It imports settings classes from ``jobs`` and nothing else of ``sweep`` but ``sweep.errors``. To add
a key, add a field with a docstring to the settings class it belongs to, and run
``python -m sweep.spec.reference`` to update ``specs/README.md``.
"""
