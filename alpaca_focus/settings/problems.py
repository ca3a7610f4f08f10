"""Problems of a settings file, reported with one line a problem, as compilers do."""

import re
from dataclasses import dataclass
from typing import TypeAlias

from alpaca_focus.core.errors import ConfigurationError

KeyPath: TypeAlias = tuple[str | int, ...]
"""Path from the top of a file to a value: names of settings, and indices (from 0) of list items."""

LONGEST_QUOTE = 40


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """A position in a text; lines and columns count from 1, columns in characters."""

    line: int
    column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A mistake, its remedy and where it is; `path` and `mark` are empty for the file as a whole."""

    message: str
    path: KeyPath = ()
    mark: Mark | None = None

    def line(self, source: str) -> str:
        """Return "source:line:column: path: message"."""
        position = f"{source}:{self.mark.line}:{self.mark.column}" if self.mark else source
        return f"{position}: {dotted(self.path)}: {self.message}" if self.path else f"{position}: {self.message}"


class SettingsError(ConfigurationError):
    """A settings file cannot be used; its text has one line a problem, in the order of the file."""

    def __init__(self, source: str, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(problem.line(source) for problem in problems))
        self.source = source
        self.problems = problems


def dotted(path: KeyPath) -> str:
    """Return a path in the usual notation: `focuser.backlash.steps`, `sites[0].name`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            name = step if re.fullmatch(r"\w[\w-]{0,63}", step) else quoted(step)
            text += f".{name}" if text else name
    return text


def quoted(text: str) -> str:
    """Return a piece of a file in quotes, on one line and not too long."""
    return repr(text if len(text) <= LONGEST_QUOTE else text[: LONGEST_QUOTE - 3] + "...")
