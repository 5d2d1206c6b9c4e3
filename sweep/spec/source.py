"""A YAML file with the position of each value, so that every problem has a line and a column."""

import copy
from collections.abc import Hashable, Iterable, Iterator
from pathlib import Path
from typing import Any, Self

import yaml

from jobs.yaml_reader import PlainYamlError, read_yaml
from sweep.errors import Problem, SpecError
from sweep.spec.check import KeyPath


class Source:
    """The text of a spec, its values, and the position of each.

    Raises (on construction):
        SpecError: the file cannot be read, is not YAML, repeats a key, or is not a mapping.
    """

    def __init__(self, path: Path) -> None:
        self.file = str(path)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            raise SpecError([Problem(self.file, 1, 1, f"cannot read the spec: {reason}")]) from None
        try:
            repeated: list[Problem] = []
            self._node, values = read_yaml(
                text, lambda node: repeated.extend(self._repeated_keys(node, set()))
            )
        except PlainYamlError as error:
            problem = Problem(self.file, error.line, error.column, str(error))
            raise SpecError([problem]) from None
        self._overridden: dict[KeyPath, str] = {}
        self._kept: dict[str | int, list[int]] = {}
        if not isinstance(values, dict):
            found = "nothing" if values is None else type(values).__name__
            raise SpecError(
                [Problem(self.file, 1, 1, f"expected `key: value` lines, found {found}")]
            )
        self.values: dict[Hashable, Any] = values
        self._children: dict[int, dict[str, tuple[Any, Any]]] = {}
        if repeated:
            raise SpecError(repeated)

    def override(self, assignment: str) -> None:
        """Apply ``KEY=VALUE`` of ``--set``: a dotted key, list positions as numbers, a YAML value.

        Raises:
            SpecError: it has no ``=``, its value is not YAML, or its key cannot be set.
        """
        key, equals, text = assignment.partition("=")
        place = f"--set {assignment}"
        if not equals or not key:
            raise SpecError([Problem(place, 1, 1, "expected KEY=VALUE, as in protocol.folds=3")])
        try:
            _, value = read_yaml(text)
        except PlainYamlError:
            raise SpecError([Problem(place, 1, len(key) + 2, "the value is not YAML")]) from None
        location = tuple(map(_step_of, key.split(".")))
        holder: Any = self.values
        for step in location[:-1]:
            holder = self._step(holder, step, place)
        last = location[-1]
        if isinstance(holder, list):
            self._step(holder, last, place)
        elif not isinstance(holder, dict):
            raise SpecError(
                [
                    Problem(
                        place,
                        1,
                        1,
                        f"{key}: cannot set {last!r}: expected a mapping or a list there",
                    )
                ]
            )
        holder[last] = value
        self._overridden[location] = place

    @staticmethod
    def _step(holder: Any, step: str | int, place: str) -> Any:
        if isinstance(holder, dict) and isinstance(step, str):
            return holder.setdefault(step, {})
        if isinstance(holder, list) and isinstance(step, int) and step < len(holder):
            return holder[step]
        raise SpecError([Problem(place, 1, 1, f"the spec has no {step!r} there: correct the key")])

    def without(self, locations: Iterable[KeyPath]) -> Self:
        """Return the file without invalid values: items of top-level lists, else whole sections.

        Positions in the rest still point at the file.
        """
        rest = copy.copy(self)
        rest.values, rest._kept = dict(self.values), {}
        wrong: dict[str | int, set[int]] = {}
        for section, *inner in locations:
            value = self.values.get(section)
            if isinstance(value, list) and inner and isinstance(inner[0], int):
                wrong.setdefault(section, set()).add(inner[0])
            else:
                rest.values.pop(section, None)
        for section, positions in wrong.items():
            if section in rest.values:
                items = rest.values[section]
                rest._kept[section] = [i for i in range(len(items)) if i not in positions]
                rest.values[section] = [items[i] for i in rest._kept[section]]
        return rest

    def problem(self, location: KeyPath, message: str, *, at_key: bool = False) -> Problem:
        """Place ``message`` at the value of ``location``, at its key, or at the nearest parent."""
        if len(location) > 1 and location[0] in self._kept:
            section, position, *inner = location
            kept = self._kept[section][int(position) :][
                :1
            ]  # empty for a baseline, which follows the models
            location = (section, *kept, *inner)
        real = self._real_steps(location)
        for depth in range(len(real), 0, -1):
            if real[:depth] in self._overridden:
                return Problem(self._overridden[real[:depth]], 1, 1, message)
        mark = self._mark(location, at_key)
        return Problem(self.file, mark.line + 1, mark.column + 1, message)

    def _real_steps(self, location: KeyPath) -> KeyPath:
        """Drop the steps of ``location`` that only pydantic knows, such as the tag of a union."""
        value: Any = self.values
        real: list[str | int] = []
        for step in location:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                continue
            real.append(step)
        return tuple(real)

    def _mark(self, location: KeyPath, at_key: bool) -> Any:
        node: Any = self._node
        mark = node.start_mark
        for position, step in enumerate(location):
            key_node, value_node = self._child(node, step)
            if value_node is None:
                continue
            last = position == len(location) - 1
            mark = (key_node if last and at_key and key_node else value_node).start_mark
            node = value_node
        return mark

    def _child(self, node: Any, step: str | int) -> tuple[Any, Any]:
        """Return key node (None in a list) and value node of ``step`` in ``node``, None if absent.

        Of a key that a merge brings and the mapping overrides, these are the mapping's own.
        """
        if isinstance(node, yaml.MappingNode):
            if id(node) not in self._children:
                self._children[id(node)] = {
                    key.value: (key, value)
                    for key, value in node.value
                    if isinstance(key, yaml.ScalarNode)
                }
            return self._children[id(node)].get(str(step), (None, None))
        if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            return None, node.value[step]
        return None, None

    def _repeated_keys(self, node: Any, seen_nodes: set[int]) -> Iterator[Problem]:
        if id(node) in seen_nodes:  # an alias: its node was visited where it is defined
            return
        seen_nodes.add(id(node))
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                if isinstance(key, yaml.ScalarNode) and key.value in seen:
                    mark = key.start_mark
                    message = f"the key {key.value!r} is repeated"
                    yield Problem(self.file, mark.line + 1, mark.column + 1, message)
                seen.add(str(key.value))
                yield from self._repeated_keys(value, seen_nodes)
        elif isinstance(node, yaml.SequenceNode):
            for item in node.value:
                yield from self._repeated_keys(item, seen_nodes)


def _step_of(text: str) -> str | int:
    """Return a step of a dotted key: a position if it is a number of up to nine digits."""
    is_position = text.isascii() and text.isdigit() and len(text) < 10
    return int(text) if is_position else text
