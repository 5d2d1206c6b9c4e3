"""Screenshots of the live view: ``python -m tests.screenshots``."""
