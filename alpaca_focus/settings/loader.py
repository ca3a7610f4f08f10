"""Reads settings from YAML into a model, with all problems and their positions, and secrets from their files."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.settings.explain import explain, required_names
from alpaca_focus.settings.interface_models import WebSection, token_problem
from alpaca_focus.settings.problems import Mark, Problem, SettingsError, dotted
from alpaca_focus.settings.section import PathOrigin
from alpaca_focus.settings.yaml_tree import UnreadableText, mark_at, read_tree
from alpaca_focus.settings.yaml_values import Document, read_document

M = TypeVar("M", bound=BaseModel)

MAX_BYTES = 1_048_576
BYTE_ORDER_MARK = "\ufeff"

_log = logging.getLogger(__name__)


def load_yaml(path: Path, model: type[M], *, warn: Callable[[str], object] = _log.warning) -> M:
    """Read a YAML file, UTF-8 and at most 1 MiB, into a pydantic model of JSON-like fields.

    Relative paths in it start from its folder. `warn` is called with a sentence about each that was found in the
    current folder instead.

    Raises:
        SettingsError: The file cannot be read, is not YAML, or does not fit the model. Its text has one line a
            problem, "file:line:column: setting: what is wrong", in the order of the file.
    """
    source = str(path)
    origin = PathOrigin(path.absolute().parent)
    settings = parse_yaml(_decoded(_content(path, source), source), model, source=source, origin=origin)
    for sentence in origin.misplaced:
        warn(sentence)
    return settings


def parse_yaml(text: str, model: type[M], *, source: str, origin: PathOrigin | None = None) -> M:
    """Read YAML text into a model.

    Values are taken as written: no text becomes a number, no number becomes text. A model's enumerations and tuples are
    written as text and lists. `source` names the text in messages. Without an `origin`, relative paths stay relative.

    Raises:
        SettingsError: As `load_yaml`.
    """
    document = _document(text, model, source)
    problems = list(document.problems.values())
    try:
        # As JSON, because that is how strict validation still lets text name an enumeration and a list be a tuple.
        settings = model.model_validate_json(json.dumps(document.data), strict=True, context=origin)
    except ValidationError as error:
        problems += explain(error, document, model.model_json_schema())
    else:
        if not problems:
            return settings
    raise SettingsError(source, tuple(sorted(problems, key=lambda problem: problem.mark or Mark(0, 0))))


def _document(text: str, model: type[BaseModel], source: str) -> Document:
    try:
        root = read_tree(text.removeprefix(BYTE_ORDER_MARK))
        document = read_document(root) if root is not None else Document()
    except UnreadableText as error:
        raise SettingsError(source, (error.problem,)) from error
    if document.data is None and not document.problems:
        raise _failure(source, f"the file is empty{_needs(model)}")
    if not isinstance(document.data, dict):
        message = f"the top level must be settings, one 'name: value' a line{_needs(model)}"
        raise _failure(source, message, document.keys[()])
    return document


def _needs(model: type[BaseModel]) -> str:
    required = required_names(model.model_json_schema())
    return f". It needs at least {' and '.join(dotted(path) for path in required)}" if required else ""


def _failure(source: str, message: str, mark: Mark | None = None) -> SettingsError:
    return SettingsError(source, (Problem(message=message, mark=mark),))


_OPEN_ERRORS: dict[type[OSError], str] = {
    FileNotFoundError: "there is no such file: check the name and the directory",
    IsADirectoryError: "this is a directory: name the YAML file in it",
    PermissionError: "this user may not read the file: check its owner and permissions",
}


def _content(path: Path, source: str) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        message = _OPEN_ERRORS.get(type(error), f"the file cannot be read: {error.strerror or error}")
        raise _failure(source, message) from error
    except ValueError as error:
        raise _failure(repr(source), f"this cannot be the name of a file: {error}") from error
    if len(content) > MAX_BYTES:
        raise _failure(source, "the file is larger than 1 MiB: this is not a settings file")
    return content


def _decoded(content: bytes, source: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        if content.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise _failure(source, "the file is UTF-16: save it as UTF-8") from error
        before = content[: error.start].decode("utf-8")
        mark = mark_at(before, len(before))
        raise _failure(
            source, f"byte 0x{content[error.start]:02X} is not UTF-8: save the file as UTF-8", mark
        ) from error


def secret_lines(path: Path, setting: str, hint: str = "") -> list[str]:
    """Return the stripped lines of a file of secrets.

    Raises:
        ConfigurationError: The file cannot be read; the message names the setting but no content, and ends with `hint`.
    """
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ConfigurationError(f"{setting}: {path} cannot be read ({why}).{hint}") from None


def token_of(web: WebSection) -> str | None:
    """Return the token with which other computers may give commands; `None`: they cannot.

    Raises:
        ConfigurationError: Its file cannot be read, or holds no token.
    """
    if web.token is not None:
        return web.token.get_secret_value()
    if web.token_file is None:
        return None
    path = Path(web.token_file)
    hint = " Write a token into its first line, readable by this user."
    token = next(iter(secret_lines(path, "web.token_file", hint)), "")
    problem = token_problem(token)
    if problem:
        raise ConfigurationError(f"The first line of web.token_file {path} is no token: {problem}.")
    return token
