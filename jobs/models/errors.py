"""The error that every model family raises."""


class ModelError(ValueError):
    """A model that cannot be loaded; the message says what was expected, found, and what to do."""
