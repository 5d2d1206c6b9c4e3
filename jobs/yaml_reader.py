"""Reads untrusted YAML: plain values of bounded size, with the position of each."""

from collections.abc import Callable
from typing import Any

import yaml

MOST_VALUES = 100_000
"""Maximum number of values in a document, counting aliases as the values they repeat: nested
aliases on a single line can stand for more values than fit in memory."""

MOST_DEPTH = 100
"""Maximum nesting. PyYAML's time grows with the square of the depth."""

_RAISED_BY_VALUES = (
    ValueError, TypeError, AttributeError, LookupError, ArithmeticError,
)  # fmt: skip
"""Errors that PyYAML raises for impossible numbers, dates and tags."""


class PlainYamlError(ValueError):
    """Text that is not YAML, or contains more than plain values."""

    def __init__(self, message: str, line: int = 1, column: int = 1) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


def _ignore(node: Any) -> None:
    pass


def read_yaml(text: str, inspect: Callable[[Any], None] = _ignore) -> tuple[Any, Any]:
    """Read a YAML document with the safe loader: no tag makes an object or runs code.

    Args:
        text: the document.
        inspect: called with the root node as it is written. Making the values puts the keys that a
            merge (``<<``) brings in front of a mapping's own ones, which override them.

    Returns:
        The root node, which has all positions (None for an empty document), and the values.

    Raises:
        PlainYamlError: it is not YAML, an alias contains itself, or there are more than
            `MOST_VALUES` values or `MOST_DEPTH` levels.
    """
    loader = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None, None
        _count(node, {})
        inspect(node)
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
    """The safe loader, with a limit on nesting."""

    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Compose a node, counting its depth."""
        if self._depth == MOST_DEPTH:
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise _refusal(event, f"over {MOST_DEPTH} values inside each other")
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def _count(node: Any, counted: dict[int, int | None]) -> int:
    """Return the number of values in ``node``, itself included, with aliases expanded.

    Raises:
        PlainYamlError: it contains itself, or there are too many values.
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
