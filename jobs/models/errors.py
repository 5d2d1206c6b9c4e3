"""The error that every model family raises."""


class ModelError(ValueError):
    """A model that cannot be loaded; the message says what was expected, found, and what to do."""

    key: str | None = None
    """The setting of the model that is wrong, if it is known."""


class ArgumentError(ModelError):
    """Arguments that do not make a network."""

    key = "model_args"
