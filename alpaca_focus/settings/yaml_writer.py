"""Writes YAML: values as portable text, and settings back into their file, keeping its comments and order."""

import io
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError
from ruamel.yaml.util import load_yaml_guess_indent

from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.settings.loader import parse_yaml


def edit_yaml(path: Path, changes: Mapping[str, Any], model: type[BaseModel]) -> None:
    """Set some settings in a YAML file and keep everything else in it.

    `changes` has new values by dotted name, for example {"focuser.backlash.steps": 143}; missing sections are made. The
    new text is checked against the model before it replaces the file in one step. A link is followed.

    Raises:
        ConfigurationError: The file cannot be read or written, or would no longer be valid; it is unchanged.
    """
    file = path.resolve()
    try:
        before = file.read_bytes()
        text = before.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read ({error}), so nothing was written.") from error
    after = edited(text, changes, source=str(path))
    parse_yaml(after, model, source=f"{path} with the new settings")
    mark = b"\xef\xbb\xbf" if before.startswith(b"\xef\xbb\xbf") else b""
    try:
        _replace(file, mark + after.encode())
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written ({error.strerror}); it is as it was.") from error


def edited(text: str, changes: Mapping[str, Any], *, source: str) -> str:
    """Return YAML text, with a mapping at its top or empty, with some settings changed by their dotted names.

    Raises:
        ConfigurationError: The text is not YAML, or a name leads through a value that is no section.
    """
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096  # lines are never wrapped
    plain = text.replace("\r\n", "\n")
    try:
        # The second reading is for the indentation alone.
        tree = yaml.load(plain)
        _, indent, sequence_offset = load_yaml_guess_indent(plain)
    except YAMLError as error:
        raise ConfigurationError(f"{source} is not valid YAML, so nothing was written: {error}") from error
    tree = CommentedMap() if tree is None else tree
    step = indent or 2
    yaml.indent(mapping=step, sequence=step + (sequence_offset or 0), offset=sequence_offset or 0)
    for name, value in changes.items():
        _set(tree, name.split("."), value, source)
    out = io.StringIO()
    yaml.dump(tree, out)
    return out.getvalue() if plain == text else out.getvalue().replace("\n", "\r\n")


def _set(tree: Any, names: list[str], value: Any, source: str) -> None:
    section = tree
    for name in names[:-1]:
        if not isinstance(section, CommentedMap):
            break
        if section.get(name) is None:
            section[name] = CommentedMap()
        section = section[name]
    if not isinstance(section, CommentedMap):
        raise ConfigurationError(f"{source}: {'.'.join(names)} cannot be set, because its parent is no section.")
    old = section.get(names[-1])
    if isinstance(old, CommentedMap) and isinstance(value, Mapping):
        # Entry by entry, so that the comments between them stay.
        for key in [key for key in old if key not in value]:
            del old[key]
        old.update(value)
    else:
        section[names[-1]] = value


def _replace(file: Path, content: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=file.parent, prefix=f".{file.name}.", delete=False) as new:
        try:
            new.write(content)
            new.flush()
            os.fsync(new.fileno())
            shutil.copymode(file, new.name)
            Path(new.name).replace(file)
        except OSError:
            Path(new.name).unlink(missing_ok=True)
            raise


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
        return "\ufffd"
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
