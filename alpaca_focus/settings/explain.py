"""Turns pydantic's errors into plain sentences with their position in the settings file."""

import math
from collections.abc import Iterable, Iterator
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
"""End of the location of a wrong name, rather than a wrong value, in pydantic's errors."""

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

_SPECIAL = {
    "string_too_short": "{given} is too short: write at least {min_length} character(s)",
    "string_too_long": "{given} is too long: write at most {max_length} character(s)",
    "too_short": "the list is too short: it needs at least {min_length} item(s)",
    "too_long": "the list is too long: it may have {max_length} item(s)",
    "string_pattern_mismatch": "{given} is not of the form {pattern}",
}

_BOUNDS: dict[str, tuple[str, str, str]] = {
    "greater_than": ("too small", "must be more than", "gt"),
    "greater_than_equal": ("too small", "must be at least", "ge"),
    "less_than": ("too large", "must be less than", "lt"),
    "less_than_equal": ("too large", "must be at most", "le"),
}


def explain(error: ValidationError, document: Document, schema: Schema) -> list[Problem]:
    """Return the problems of a document, given the error of its validation and the JSON schema of the model.

    A setting whose value could not be read has none, nor has a missing setting that is only misspelt. The problems are
    in no order.
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
            mark = document.keys.get(path) if about_name else _position(path, document)
            if complaint["input"] is None or complaint["type"] == "missing":
                message += _needs(path, schema)
        problems.append(Problem(message=message, path=path, mark=mark))
    return problems


def _needs(path: KeyPath, schema: Schema) -> str:
    names = [dotted(below[len(path) :]) for below in required_names(schema) if below[: len(path)] == path != below]
    return f" (it needs {' and '.join(names)})" if names else ""


def located(loc: Iterable[str | int], data: Plain, *, keep_last: bool) -> KeyPath:
    """Return the path in the file that a pydantic location means.

    pydantic puts names of union branches between the keys: a step that leads nowhere in `data` is one of those, unless
    it is the last step of a missing setting.
    """
    steps = tuple(loc)
    path: KeyPath = ()
    for number, step in enumerate(steps, start=1):
        try:
            data = data[step]  # type: ignore[index]
        except (KeyError, IndexError, TypeError):
            if not (keep_last and number == len(steps)):
                continue
        path = (*path, step)
    return path


def _position(path: KeyPath, document: Document) -> Mark | None:
    """Return the position of a scalar, else of its key, else of the section that lacks the setting."""
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
    """Return the name that was probably meant; case and hyphens do not count."""
    by_folded = {candidate.casefold(): candidate for candidate in names}
    close = get_close_matches(name.casefold().replace("-", "_").replace(" ", "_"), by_folded, n=1)
    return by_folded[close[0]] if close else None


def section_names(schema: Schema, path: KeyPath) -> list[str]:
    """Return the names of the settings of a section, in the order of the model."""
    branches = [schema]
    for step in path:
        branches = [child for branch in _resolved(branches, schema) for child in _children(branch, step)]
    return [name for branch in _resolved(branches, schema) for name in branch.get("properties", {})]


def required_names(schema: Schema, branch: Schema | None = None, path: KeyPath = ()) -> list[KeyPath]:
    """Return the settings without a default below a branch of the schema, down to single values."""
    if len(path) > _DEEPEST_SECTION:
        return []
    names: list[KeyPath] = []
    for section in _resolved([branch or schema], schema):
        for name in section.get("required", ()):
            names += required_names(schema, section["properties"][name], (*path, name)) or [(*path, name)]
    return names


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
    """Yield the branches with references resolved and alternatives side by side."""
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
    if kind in _SPECIAL:
        return _SPECIAL[kind].format(given=quoted(str(given)), **context)
    message = str(complaint["msg"])
    return message[:1].lower() + message[1:]


def _wrong_type(kind: str, given: object, node: Node | None) -> str:
    subject = _subject(given, node)
    if isinstance(given, str) and (
        (kind in {"int", "float"} and _looks_numeric(given)) or (kind == "bool" and given in {"true", "false"})
    ):
        return f"{subject}: write {given.strip()} without quotes"
    if isinstance(given, float) and kind == "int":
        whole = f"written as a whole number: write {int(given)}" if given.is_integer() else "a whole number"
        return f"{_shown(given, node)} is not {whole}"
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
    """Return the value in the file and its type, as the beginning of a sentence."""
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
    """Return a value as it is written in the file."""
    return str(node.value) if isinstance(node, ScalarNode) else str(given)


def _number(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) and abs(value) < 1e6 else str(value)
