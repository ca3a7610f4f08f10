"""Reads a tree of YAML nodes into plain values, with the position of each.

Scalars follow the core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema): `010` is ten, `1e3` is a
number, `yes` and `22:30` are text.
"""

import math
import re
from dataclasses import dataclass, field
from typing import TypeAlias

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from alpaca_focus.settings.problems import KeyPath, Mark, Problem, quoted
from alpaca_focus.settings.yaml_tree import MAX_DEPTH, MAX_VALUES, UnreadableText, mark_of

Plain: TypeAlias = bool | int | float | str | list["Plain"] | dict[str, "Plain"] | None

MERGE_KEY = "<<"
LONGEST_INTEGER = 40
"""Digits; Python refuses to read integers of thousands of digits."""

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]+")
_BASED_INT = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(slots=True)
class Document:
    """The content of a YAML text.

    Attributes:
        data: The values, JSON-like.
        keys: Position of the name of each setting (list items: of the item).
        values: The node of each value.
        problems: Problems of the YAML itself, by position.
        spoilt: Settings whose value could not be read and is `None` in `data`.
    """

    data: Plain = None
    keys: dict[KeyPath, Mark] = field(default_factory=dict)
    values: dict[KeyPath, Node] = field(default_factory=dict)
    problems: dict[Mark, Problem] = field(default_factory=dict)
    spoilt: set[KeyPath] = field(default_factory=set)


def read_document(root: Node) -> Document:
    """Turn a tree into values; aliases and merge keys are followed.

    Raises:
        UnreadableText: Aliases and merge keys make more values than a settings file can have.
    """
    reader = _Reader()
    reader.document.data = reader.value(root, ())
    reader.document.keys[()] = mark_of(root)
    return reader.document


def plain_scalar(text: str) -> bool | int | float | str | None:
    """Return the value of a text without quotes.

    Raises:
        ValueError: A number that is infinite, NaN or too long to be meant.
    """
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    is_int, is_based = _INT.fullmatch(text), _BASED_INT.fullmatch(text)
    if (is_int or is_based) and len(text) > LONGEST_INTEGER:
        raise ValueError(f"{quoted(text)} has too many digits for a number")
    if is_int:
        return int(text)
    if is_based:
        return int(text, 0)
    if _NOT_FINITE.fullmatch(text) or (_FLOAT.fullmatch(text) and not math.isfinite(float(text))):
        raise ValueError(f"{text} is not a finite number: write an ordinary number")
    return float(text) if _FLOAT.fullmatch(text) else text


def _scalar(node: ScalarNode) -> bool | int | float | str | None:
    value = plain_scalar(node.value) if node.style is None else node.value
    if isinstance(value, str) and _SURROGATE.search(value):
        raise ValueError(f"{quoted(value)} has half a character (a surrogate escape)")
    return value


class _Reader:
    """Walks the tree once; counts the visited nodes, aliases expanded."""

    def __init__(self) -> None:
        self.document = Document()
        self._visited = 0

    def value(self, node: Node, path: KeyPath) -> Plain:
        self._count(node, depth=len(path))
        self.document.values[path] = node
        if node.tag is not None:
            tag = node.tag.replace("tag:yaml.org,2002:", "!!")
            self._spoil(path, mark_of(node), f"YAML tags ({quoted(tag)}) are not used here: take it out")
            return None
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        if isinstance(node, SequenceNode):
            return [self._item(item, (*path, index)) for index, item in enumerate(node.value)]
        values: dict[str, Plain] = {}
        for name, (mark, child) in self._pairs(node, path, depth=len(path)).items():
            self.document.keys[*path, name] = mark
            values[name] = self.value(child, (*path, name))
        return values

    def _item(self, node: Node, path: KeyPath) -> Plain:
        self.document.keys[path] = mark_of(node)
        return self.value(node, path)

    def _scalar(self, node: ScalarNode, path: KeyPath) -> Plain:
        try:
            return _scalar(node)
        except ValueError as error:
            self._spoil(path, mark_of(node), str(error))
            return None

    def _pairs(self, node: Node, path: KeyPath, depth: int) -> dict[str, tuple[Mark, Node]]:
        """Return the children by name: the mapping's own first, then those it merges in."""
        found: dict[str, tuple[Mark, Node]] = {}
        merged: list[MappingNode] = []
        merge_mark: Mark | None = None
        for key, child in node.value:
            self._count(key, depth)
            if isinstance(key, ScalarNode) and key.style is None and key.value == MERGE_KEY:
                if merge_mark is not None:
                    self._duplicate(mark_of(key), (*path, MERGE_KEY), merge_mark)
                    continue
                merge_mark = mark_of(key)
                merged = self._merged(child, path)
                continue
            name = self._name(key, path)
            if name is None:
                continue
            if name in found:
                self._duplicate(mark_of(key), (*path, name), found[name][0])
            else:
                found[name] = (mark_of(key), child)
        for base in merged:
            for name, pair in self._pairs(base, path, depth + 1).items():
                found.setdefault(name, pair)
        return found

    def _merged(self, node: Node, path: KeyPath) -> list[MappingNode]:
        bases = node.value if isinstance(node, SequenceNode) else (node,)
        mappings = [base for base in bases if isinstance(base, MappingNode)]
        if len(mappings) < len(bases):
            self._problem(path, mark_of(node), f"'{MERGE_KEY}' takes in another group of settings, such as '*name'")
        return mappings

    def _name(self, key: Node, path: KeyPath) -> str | None:
        if not isinstance(key, ScalarNode) or key.tag is not None:
            self._problem(path, mark_of(key), "the name of a setting must be plain text")
            return None
        try:
            name = _scalar(key)
        except ValueError as error:
            self._problem(path, mark_of(key), f"the name of a setting must be text: {error}")
            return None
        if isinstance(name, int) and not isinstance(name, bool):
            return str(name)  # as JSON does; a model may well number things
        if not isinstance(name, str):
            what = quoted(key.value) if key.value else "nothing"
            self._problem(path, mark_of(key), f"the name of a setting must be text, and {what} is not")
            return None
        return name

    def _duplicate(self, mark: Mark, path: KeyPath, first: Mark) -> None:
        self._problem(path, mark, f"stands here a second time (first in line {first.line}): keep one of them")

    def _spoil(self, path: KeyPath, mark: Mark, message: str) -> None:
        self.document.spoilt.add(path)
        self._problem(path, mark, message)

    def _problem(self, path: KeyPath, mark: Mark, message: str) -> None:
        # A problem at an anchor recurs at each of its aliases, but needs to be corrected once.
        self.document.problems.setdefault(mark, Problem(message=message, path=path, mark=mark))

    def _count(self, node: Node, depth: int) -> None:
        self._visited += 1
        if self._visited > 2 * MAX_VALUES or depth > MAX_DEPTH:
            raise UnreadableText("the aliases ('*') and merge keys make this file grow out of bounds", mark_of(node))
