"""Values as YAML text that says the same to every reader, whatever is in them."""

from collections.abc import Mapping, Sequence
from typing import Any

_REPLACEMENT = "\ufffd"


def yaml_value(value: float | str | Sequence[str]) -> str:
    """Return a number, a text or a list of texts on one line; texts are always in double quotes."""
    if isinstance(value, str):
        return yaml_quoted(value)
    if isinstance(value, Sequence):
        return f"[{', '.join(map(yaml_quoted, value))}]"
    is_whole = float(value).is_integer() and abs(value) < 1e15
    return str(int(value)) if is_whole else repr(value)


def yaml_quoted(text: str) -> str:
    """Return a text in double quotes: what is not printable is escaped, and half a character is replaced."""
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(sign: str) -> str:
    if sign in '"\\':
        return f"\\{sign}"
    if sign.isprintable():
        return sign
    code = ord(sign)
    if 0xD800 <= code <= 0xDFFF:
        return _REPLACEMENT
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def yaml_of(settings: Mapping[str, Any]) -> str:
    """Return settings, given by their dotted names, as YAML on one line."""
    tree: dict[str, Any] = {}
    for name, value in settings.items():
        *sections, setting = name.split(".")
        section = tree
        for each in sections:
            section = section.setdefault(each, {})
        section[setting] = value
    return _flow(tree)


def _flow(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{name}: {_flow(each)}' for name, each in value.items())}}}"
    return yaml_value(value)
