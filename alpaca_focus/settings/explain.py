"""What pydantic found wrong, in plain words and at its place in the file."""

import math
from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from ruamel.yaml.nodes import Node, ScalarNode

from alpaca_focus.settings.problems import KeyPath, Mark, Problem, dotted, quoted
from alpaca_focus.settings.yaml_tree import mark_of
from alpaca_focus.settings.yaml_values import Document, Plain, plain_scalar

Schema = dict[str, Any]

_DEEPEST_SECTION = 6
_ABOUT_A_NAME = ("[key]",)
"""How pydantic ends the location of a name, rather than a value, that is wrong."""

_WANTED = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "text",
    "list": "a list",
    "tuple": "a list",
    "set": "a list",
    "dict": "its settings below it, indented, one 'name: value' a line",
    "model": "its settings below it, indented, one 'name: value' a line",
}

_BOUNDS: dict[str, tuple[str, str, str]] = {
    "greater_than": ("too small", "must be more than", "gt"),
    "greater_than_equal": ("too small", "must be at least", "ge"),
    "less_than": ("too large", "must be less than", "lt"),
    "less_than_equal": ("too large", "must be at most", "le"),
}


def explain(error: ValidationError, document: Document, schema: Schema) -> list[Problem]:
    """Tell each of pydantic's complaints about a document.

    Args:
        error: What validation of `document.data` raised.
        document: The values with their places.
        schema: JSON schema of the model, for the names of its settings.

    Returns:
        The problems, in no order; none for a setting that was spoilt already, and none for a required setting that is
        only misspelt.
    """
    complaints = [
        (located(complaint["loc"], document.data, keep_last=complaint["type"] == "missing"), complaint)
        for complaint in error.errors(include_url=False)
    ]
    unknown = [path for path, complaint in complaints if complaint["type"] == "extra_forbidden"]
    nearest = {path: nearest_name(str(path[-1]), section_names(schema, path[:-1])) for path in unknown}
    misspelt = {(*path[:-1], name) for path, name in nearest.items() if name}
    problems = []
    for path, complaint in complaints:
        if path in document.spoilt or (complaint["type"] == "missing" and path in misspelt):
            continue
        if path in nearest:
            message = _unknown(path, nearest[path], schema)
            mark = document.keys.get(path)
        else:
            about_name = complaint["loc"][-1:] == _ABOUT_A_NAME
            message = _message(complaint, None if about_name else document.values.get(path))
            mark = document.keys.get(path) if about_name else _place(path, document)
            if complaint["input"] is None or complaint["type"] == "missing":
                message += _needs(path, schema)
        problems.append(Problem(message=message, path=path, mark=mark))
    return problems


def _needs(path: KeyPath, schema: Schema) -> str:
    names = [dotted(below[len(path) :]) for below in required_names(schema) if below[: len(path)] == path != below]
    return f" (it needs {' and '.join(names)})" if names else ""


def located(loc: Iterable[str | int], data: Plain, *, keep_last: bool) -> KeyPath:
    """Return the path in the file that a pydantic location means.

    pydantic puts names of union branches between the keys; a step that leads nowhere in `data` is one of those, unless
    it is the last step of a setting that is missing.
    """
    steps = tuple(loc)
    path: KeyPath = ()
    for number, step in enumerate(steps, start=1):
        inner = _inner(data, step)
        if inner:
            data = inner[0]
        elif not (keep_last and number == len(steps)):
            continue
        path = (*path, step)
    return path


def _inner(data: Plain, step: str | int) -> tuple[Plain] | None:
    if isinstance(data, dict) and isinstance(step, str) and step in data:
        return (data[step],)
    if isinstance(data, list) and isinstance(step, int) and 0 <= step < len(data):
        return (data[step],)
    return None


def _place(path: KeyPath, document: Document) -> Mark | None:
    """A scalar's own place; else that of the key; for what is not there, that of the section it belongs in."""
    node = document.values.get(path)
    if isinstance(node, ScalarNode) and (node.value or node.style):
        return mark_of(node)
    known = path
    while known and known not in document.keys:
        known = known[:-1]
    return document.keys.get(known)


def _unknown(path: KeyPath, nearest: str | None, schema: Schema) -> str:
    if nearest:
        return f"there is no such setting. Did you mean '{nearest}'?"
    homes = [home for home in _sections(schema) if home != path[:-1] and path[-1] in section_names(schema, home)]
    if homes:
        where = " or ".join(f"'{dotted(home)}'" if home else "the top level" for home in homes)
        return f"there is no such setting here. It belongs in {where}"
    names = section_names(schema, path[:-1])
    return f"there is no such setting. Possible here: {', '.join(names)}" if names else "there is no such setting"


def nearest_name(name: str, names: list[str]) -> str | None:
    """Return which of the names was probably meant; case and hyphens do not count."""
    by_folded = {candidate.casefold(): candidate for candidate in names}
    close = get_close_matches(name.casefold().replace("-", "_").replace(" ", "_"), by_folded, n=1)
    return by_folded[close[0]] if close else None


def section_names(schema: Schema, path: KeyPath) -> list[str]:
    """Return the names of the settings of a section, in the order of the model."""
    branches = [schema]
    for step in path:
        branches = [child for branch in _resolved(branches, schema) for child in _children(branch, step)]
    return [name for branch in _resolved(branches, schema) for name in branch.get("properties", {})]


def required_names(schema: Schema) -> list[KeyPath]:
    """Return the settings without a default, down to single values."""
    return list(_required(schema, schema, ()))


def _required(branch: Schema, schema: Schema, path: KeyPath) -> Iterator[KeyPath]:
    if len(path) > _DEEPEST_SECTION:
        return
    for section in _resolved([branch], schema):
        for name in section.get("required", ()):
            below = list(_required(section["properties"][name], schema, (*path, name)))
            yield from below or [(*path, name)]


def _sections(schema: Schema) -> Iterator[KeyPath]:
    """Yield the path of every section, outer ones first; a model that contains itself is followed a few levels."""
    paths: list[KeyPath] = [()]
    while paths:
        path = paths.pop(0)
        names = section_names(schema, path)
        if names:
            yield path
        if len(path) < _DEEPEST_SECTION:
            paths += [(*path, name) for name in names]


def _resolved(branches: Iterable[Schema], schema: Schema) -> Iterator[Schema]:
    """Yield what the branches stand for: references followed, alternatives side by side."""
    for branch in branches:
        if "$ref" in branch:
            yield from _resolved([schema["$defs"][branch["$ref"].rsplit("/", 1)[-1]]], schema)
        yield branch
        for keyword in ("anyOf", "oneOf", "allOf"):
            yield from _resolved(branch.get(keyword, ()), schema)


def _children(branch: Schema, step: str | int) -> list[Schema]:
    if isinstance(step, int):
        candidates = [branch.get("items"), *branch.get("prefixItems", [])[step : step + 1]]
    elif step in branch.get("properties", {}):
        candidates = [branch["properties"][step]]
    else:
        candidates = [branch.get("additionalProperties")]
    return [candidate for candidate in candidates if isinstance(candidate, dict)]


def _message(complaint: Any, node: Node | None) -> str:
    kind, context = str(complaint["type"]), complaint.get("ctx", {})
    given = complaint["input"]
    if kind == "missing":
        return "this setting is required and missing"
    if kind in _BOUNDS:
        verdict, rule, key = _BOUNDS[kind]
        return f"{_shown(given, node)} is {verdict}: it {rule} {_number(context[key])}"
    if kind in {"literal_error", "enum"}:
        subject = f"{quoted(given)} is not one of the choices" if isinstance(given, str) else _subject(given, node)
        return f"{subject}: write {context['expected']}"
    if kind in {"value_error", "assertion_error"}:
        return str(context["error"])
    expected, _, fault = kind.partition("_")
    if expected in _WANTED and fault in {"type", "parsing", "from_float"}:
        return _wrong_type(expected, given, node)
    return _SPECIAL.get(kind, _as_pydantic_says)(complaint)


def _as_pydantic_says(complaint: Any) -> str:
    message = str(complaint["msg"])
    return message[:1].lower() + message[1:]


_SPECIAL: dict[str, Callable[[Any], str]] = {
    "string_too_short": lambda complaint: (
        f"{quoted(str(complaint['input']))} is too short: write at least {complaint['ctx']['min_length']} character(s)"
    ),
    "string_too_long": lambda complaint: (
        f"{quoted(str(complaint['input']))} is too long: write at most {complaint['ctx']['max_length']} character(s)"
    ),
    "too_short": lambda complaint: f"the list is too short: it needs at least {complaint['ctx']['min_length']} item(s)",
    "too_long": lambda complaint: f"the list is too long: it may have {complaint['ctx']['max_length']} item(s)",
    "string_pattern_mismatch": lambda complaint: (
        f"{quoted(str(complaint['input']))} is not of the form {complaint['ctx']['pattern']}"
    ),
}


def _wrong_type(kind: str, given: object, node: Node | None) -> str:
    subject = _subject(given, node)
    if isinstance(given, str) and kind in {"int", "float"} and _looks_numeric(given):
        return f"{subject}: write {given.strip()} without quotes"
    if isinstance(given, str) and kind == "bool" and given in {"true", "false"}:
        return f"{subject}: write {given} without quotes"
    if isinstance(given, float) and kind == "int" and given.is_integer():
        return f"{_shown(given, node)} is not written as a whole number: write {int(given)}"
    if isinstance(given, float) and kind == "int":
        return f"{_shown(given, node)} is not a whole number"
    if kind == "string" and isinstance(given, bool | int | float):
        return f"{subject}: write it in quotes, '{_shown(given, node)}'"
    return f"{subject}: write {_WANTED[kind]}"


def _looks_numeric(text: str) -> bool:
    try:
        value = plain_scalar(text.strip())
    except ValueError:
        return False
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _subject(given: object, node: Node | None) -> str:
    """Say what stands in the file, as the beginning of a sentence."""
    if given is None:
        return "nothing is given"
    if isinstance(given, str):
        return f"{quoted(given)} is text"
    if isinstance(given, bool):
        return f"{_shown(given, node)} is a true-or-false value"
    if isinstance(given, int | float):
        return f"{_shown(given, node)} is a number"
    return "this is a list" if isinstance(given, list) else "this is a group of settings"


def _shown(given: object, node: Node | None) -> str:
    """Show a value as the file writes it."""
    return str(node.value) if isinstance(node, ScalarNode) else str(given)


def _number(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) and abs(value) < 1e6 else str(value)
