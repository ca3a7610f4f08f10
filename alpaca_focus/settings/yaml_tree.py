"""Reads YAML text into ruamel.yaml's nodes, within the bounds of a settings file.

The text is composed but not constructed: ruamel.yaml's constructors stop at the first duplicate key and lose the
positions of values (docs/decisions/0005).
"""

from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent
from ruamel.yaml.nodes import Node
from ruamel.yaml.reader import ReaderError
from typing_extensions import override

from alpaca_focus.settings.problems import Mark, Problem

MAX_DEPTH = 40
MAX_VALUES = 10_000


class UnreadableText(Exception):
    """The text cannot be read any further; `problem` holds the position and the reason."""

    def __init__(self, message: str, mark: Mark | None) -> None:
        super().__init__(message)
        self.problem = Problem(message=message, mark=mark)


def read_tree(text: str) -> Node | None:
    """Read the one document of a YAML 1.2 text without a byte order mark; `None` when it has no content.

    Duplicate and merge keys stay in the tree, aliases share the node of their anchor, and only written tags are kept.

    Raises:
        UnreadableText: Not YAML, more than one document, nested too deeply or too many values.
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = _BoundedComposer
    try:
        root: Node | None = yaml.compose(text)
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
        raise UnreadableText(f"what follows is not YAML ({reason})", yaml.composer.reached) from error
    return root


class _BoundedComposer(Composer):
    """Composes trees of bounded size; `reached` is the end of the last value begun."""

    def __init__(self, loader: Any = None) -> None:
        super().__init__(loader)
        self.warn_double_anchors = False
        self.reached = Mark(1, 1)
        self._values = 0
        self._ancestors = 0
        self._incomplete: set[str | None] = set()

    @override
    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.parser.peek_event()
        mark, self.reached = mark_of(event), Mark(event.end_mark.line + 1, event.end_mark.column + 1)
        self._values += 1
        if self._values > MAX_VALUES:
            raise UnreadableText(f"more than {MAX_VALUES} values: this is not a settings file", mark)
        if self._ancestors > MAX_DEPTH:
            raise UnreadableText(f"nested more than {MAX_DEPTH} levels deep: this is not a settings file", mark)
        anchor = event.anchor
        if isinstance(event, AliasEvent):
            # An alias inside its own anchor would make an endless tree.
            if anchor in self._incomplete or anchor not in self.anchors:
                raise UnreadableText(f"'*{anchor}' refers to '&{anchor}', which is not complete above this place", mark)
            return super().compose_node(parent, index)
        self._incomplete.add(anchor)
        self._ancestors += 1
        node = super().compose_node(parent, index)
        self._ancestors -= 1
        self._incomplete.discard(anchor)
        node.ctag = event.ctag
        return node


def mark_of(node: Any) -> Mark:
    """Return the position where a node or an event begins."""
    return Mark(node.start_mark.line + 1, node.start_mark.column + 1)


def mark_at(text: str, offset: int) -> Mark:
    """Return the position of the character at an offset."""
    before = text[:offset].replace("\r\n", "\n").replace("\r", "\n")
    return Mark(before.count("\n") + 1, len(before) - before.rfind("\n"))


_WORDS = (
    ("found character '\\t'", "a tab: indent with spaces"),
    ("cannot start any token", "text that begins with such a character must stand in quotes"),
    (
        "mapping values are not allowed here",
        "a ':' is not expected here: does the line above lack its ':', is this line indented too far?",
    ),
    ("could not find expected ':'", "a ':' is missing: settings are written 'name: value'"),
    ("expected ',' or ']'", "a ',' or the closing ']' of the list is missing"),
    ("expected ',' or '}", "a ',' or the closing '}' is missing"),
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
    ("found another document", "a second document begins here ('---'): keep one document in the file"),
    ("version 1.* is required", "this version of YAML is not known: take the '%YAML' line out"),
)


_SHOWN_AT_THE_BEGINNING = ("could not find expected ':'", "found unexpected end of stream")
"""Problems that ruamel.yaml detects only at the end of the wrong text."""


def _in_words(error: MarkedYAMLError) -> str:
    problem = str(error.problem or error.context or "unknown error")
    for fragment, words in _WORDS:
        if fragment in problem:
            opened = f" (it was opened in line {error.context_mark.line + 1})" if "the closing" in words else ""
            return words + opened
    return f"this is not YAML: {problem!r}"


def _mark_of(error: MarkedYAMLError) -> Mark:
    at_beginning = error.context_mark is not None and str(error.problem).startswith(_SHOWN_AT_THE_BEGINNING)
    mark = error.context_mark if at_beginning else error.problem_mark or error.context_mark
    return Mark(mark.line + 1, mark.column + 1)
