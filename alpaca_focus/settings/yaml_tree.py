"""YAML text as a tree of nodes that know where they stand.

ruamel.yaml reads the text up to its events; the tree is built here rather than by ruamel.yaml's constructors because
those stop at the first duplicate key, follow aliases without a bound and forget where a scalar stood.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.reader import ReaderError

from alpaca_focus.settings.problems import Mark, Problem

MAX_DEPTH = 40
MAX_VALUES = 10_000


class UnreadableText(Exception):
    """The text cannot be read any further; `problem` says where and why."""

    def __init__(self, message: str, mark: Mark | None) -> None:
        super().__init__(message)
        self.problem = Problem(message=message, mark=mark)


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value. `plain` is a value without quotes, the only kind that can be a number, true, false or null."""

    mark: Mark
    tag: str | None
    text: str
    plain: bool


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list."""

    mark: Mark
    tag: str | None
    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys and values in the order of the file, duplicates included; merge keys are not yet followed."""

    mark: Mark
    tag: str | None
    pairs: tuple[tuple["Node", "Node"], ...]


Node: TypeAlias = Scalar | Sequence | Mapping


def read_tree(text: str) -> Node | None:
    """Read the one document of a YAML text.

    Args:
        text: YAML 1.2, without a byte order mark.

    Returns:
        The top node; aliases share the node of their anchor. `None` when the text has no content.

    Raises:
        UnreadableText: Not YAML, more than one document, nested too deeply or too many values.
    """
    return _TreeBuilder(text).document()


class _TreeBuilder:
    """Takes the events of one text and remembers the anchors met so far."""

    def __init__(self, text: str) -> None:
        self._events = _events(text)
        self._anchors: dict[str, Node] = {}
        self._values = 0

    def document(self) -> Node | None:
        root: Node | None = None
        documents = 0
        for event in self._events:
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    message = "a second document begins here ('---'): keep one document in the file"
                    raise UnreadableText(message, _mark(event.start_mark))
            elif isinstance(event, NodeEvent):
                root = self._node(event, depth=0)
        return root

    def _node(self, event: NodeEvent, depth: int) -> Node:
        mark = _mark(event.start_mark)
        self._values += 1
        if self._values > MAX_VALUES:
            raise UnreadableText(f"more than {MAX_VALUES} values: this is not a settings file", mark)
        if depth > MAX_DEPTH:
            raise UnreadableText(f"nested more than {MAX_DEPTH} levels deep: this is not a settings file", mark)
        if isinstance(event, AliasEvent):
            return self._anchored(str(event.anchor), mark)
        node = self._content(event, mark, depth)
        if event.anchor is not None:
            # Only now: an alias inside its own anchor would make an endless tree.
            self._anchors[str(event.anchor)] = node
        return node

    def _anchored(self, name: str, mark: Mark) -> Node:
        if name not in self._anchors:
            raise UnreadableText(f"'*{name}' refers to '&{name}', which is not complete above this place", mark)
        return self._anchors[name]

    def _content(self, event: Any, mark: Mark, depth: int) -> Node:
        tag = None if event.tag is None else str(event.tag).replace("tag:yaml.org,2002:", "!!")
        if isinstance(event, ScalarEvent):
            return Scalar(mark, tag, event.value, plain=event.style is None)
        if isinstance(event, SequenceStartEvent):
            items: list[Node] = []
            while not isinstance(item := next(self._events), SequenceEndEvent):
                items.append(self._node(item, depth + 1))
            return Sequence(mark, tag, tuple(items))
        pairs: list[tuple[Node, Node]] = []
        while not isinstance(key := next(self._events), MappingEndEvent):
            pairs.append((self._node(key, depth + 1), self._node(next(self._events), depth + 1)))
        return Mapping(mark, tag, tuple(pairs))


def _events(text: str) -> Iterator[Any]:
    """Yield ruamel.yaml's parsing events; its errors leave as `UnreadableText`."""
    last: Mark | None = None
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            last = _mark(event.end_mark)
            yield event
    except MarkedYAMLError as error:
        raise UnreadableText(_in_words(error), _mark_of(error)) from error
    except ReaderError as error:
        raise UnreadableText(
            f"character U+{ord(text[error.position]):04X} may not stand in YAML: take it out",
            mark_at(text, error.position),
        ) from error
    except (YAMLError, OverflowError, ValueError) as error:
        # ruamel.yaml lets errors of chr() and int() out for escapes beyond Unicode; they carry no place.
        reason = " ".join(str(error).split())
        raise UnreadableText(f"what follows is not YAML ({reason})", last) from error


def mark_at(text: str, offset: int) -> Mark:
    """Return the place of the character at an offset."""
    before = text[:offset].replace("\r\n", "\n").replace("\r", "\n")
    return Mark(before.count("\n") + 1, len(before) - before.rfind("\n"))


def _mark(mark: Any) -> Mark:
    return Mark(mark.line + 1, mark.column + 1)


_WORDS = (
    ("found character '\\t'", "a tab: indent with spaces"),
    ("cannot start any token", "text that begins with such a character must stand in quotes"),
    (
        "mapping values are not allowed here",
        "a ':' is not expected here: does the line above lack its ':', is this line indented too far?",
    ),
    ("could not find expected ':'", "a ':' is missing: settings are written 'name: value'"),
    ("expected ',' or ']'", "a ',' or the closing ']' of the list is missing"),
    ("expected ',' or '}'", "a ',' or the closing '}' is missing"),
    ("expected ',' or '}}'", "a ',' or the closing '}' is missing"),
    ("unclosed '[' or '{'", "a '[' or '{' is not closed, or the indentation is wrong"),
    ("found unexpected end of stream", "the quotes that begin here are not closed"),
    ("expected <block end>", "this line does not fit: is its indentation that of its neighbours?"),
    ("found unknown escape character", "an unknown escape after '\\': use single quotes for text with backslashes"),
    ("sequence entries are not allowed here", "a '-' of a list is not expected here: begin the list on its own line"),
    ("expected alphabetic or numeric character", "text that begins with '&' or '*' must stand in quotes"),
    ("expected chomping or indentation", "text that begins with '|' or '>' must stand in quotes"),
    ("expected URI", "text that begins with '!' or '%' must stand in quotes"),
    ("expected '!'", "text that begins with '!' must stand in quotes"),
    ("expected ' ', but found", "text that begins with '!' must stand in quotes"),
    ("expected escape sequence", "the escape after '\\' is not complete: use single quotes for text with backslashes"),
    ("expected the node content", "a value or a name is expected here; signs of YAML must stand in quotes"),
    ("expected '<document start>'", "this does not fit to what stands above: check the indentation"),
    ("found undefined tag handle", "YAML tags ('!') are not used here: take it out"),
    ("version 1.* is required", "this version of YAML is not known: take the '%YAML' line out"),
)


_SHOWN_AT_THE_BEGINNING = ("could not find expected ':'", "found unexpected end of stream")
"""Problems that ruamel.yaml notices at the end of what is wrong."""


def _in_words(error: MarkedYAMLError) -> str:
    problem = str(error.problem or error.context or "unknown error")
    for fragment, words in _WORDS:
        if fragment in problem:
            opened = f" (it was opened in line {error.context_mark.line + 1})" if "the closing" in words else ""
            return words + opened
    return f"this is not YAML: {problem!r}"


def _mark_of(error: MarkedYAMLError) -> Mark:
    if error.context_mark is not None and str(error.problem).startswith(_SHOWN_AT_THE_BEGINNING):
        return _mark(error.context_mark)
    return _mark(error.problem_mark or error.context_mark)
