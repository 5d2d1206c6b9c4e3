"""YAML from elsewhere: plain values of bounded size, and the position of each."""

from typing import Any

import yaml

MOST_VALUES = 100_000
"""Values of a document at most, aliases counted as what they stand for: nine aliases of nine
aliases, eleven times, are a line of text and more than any memory holds."""

MOST_DEPTH = 100
"""Values inside values at most. PyYAML's time grows with the square of the depth."""

_RAISED_BY_VALUES = (
    ValueError, TypeError, AttributeError, LookupError, ArithmeticError,
)  # fmt: skip
"""What PyYAML lets through for impossible numbers, dates and tags."""


class PlainYamlError(ValueError):
    """Text that is not YAML, or holds more than plain values."""

    def __init__(self, message: str, line: int = 1, column: int = 1) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


def read_yaml(text: str) -> tuple[Any, Any]:
    """The values of a YAML document, made by the safe loader: no tag makes an object or runs code.

    Returns:
        The root node, which knows where everything stands, None of an empty document; the values.

    Raises:
        PlainYamlError: it is not YAML, an alias stands inside what it stands for, or there are
            more than `MOST_VALUES` values or `MOST_DEPTH` inside each other.
    """
    loader = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None, None
        _count(node, {})
        return node, loader.construct_document(node)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        message = getattr(error, "problem", None) or str(error).splitlines()[0]
        place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise PlainYamlError(f"not YAML: {message}", *place) from None
    except PlainYamlError:
        raise
    except _RAISED_BY_VALUES as error:
        message = f"not YAML that can be read: {type(error).__name__}: {error}"
        raise PlainYamlError(message) from None
    finally:
        if loader is not None:
            loader.dispose()


class _Loader(yaml.SafeLoader):
    """The safe loader, which stops before nesting stops it."""

    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """As of the safe loader."""
        if self._depth == MOST_DEPTH:
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise _refusal(event, f"over {MOST_DEPTH} values inside each other")
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def _count(node: Any, counted: dict[int, int | None]) -> int:
    """Values below and with ``node``, aliases written out.

    Raises:
        PlainYamlError: there is no end of them, or they are too many.
    """
    if id(node) in counted:
        known = counted[id(node)]
        if known is None:
            raise _refusal(node, "an alias stands inside the value that it stands for")
        return known
    counted[id(node)] = None
    inner: list[Any] = []
    if isinstance(node, yaml.MappingNode):
        inner = [one for pair in node.value for one in pair]
    elif isinstance(node, yaml.SequenceNode):
        inner = node.value
    count = 1 + sum(_count(one, counted) for one in inner)
    if count > MOST_VALUES:
        raise _refusal(node, f"with its aliases written out it has over {MOST_VALUES} values")
    counted[id(node)] = count
    return count


def _refusal(at: Any, message: str) -> PlainYamlError:
    mark = at.start_mark
    return PlainYamlError(f"not plain YAML: {message}", mark.line + 1, mark.column + 1)
