"""Every command with its options, from the commands themselves."""

import re
from collections.abc import Iterator
from html import escape
from typing import Any

import typer

import alpaca_focus.cli
from alpaca_focus.cli import COMMANDS, commands

PLAINER = {
    r"^\{(.*)\}": r"\1",
    r" ?<(path|list\[str\])>": "",
    "<str>": "TEXT",
    r"<(int|float)( range)?>": "NUMBER",
    "<%Y-%m-%d>": "YYYY-MM-DD",
}
"""What the command line writes of arguments, and how a reader writes it."""
PIPE = "&#124;"
"""A bar that does not end the cell of a table."""
INTRODUCTION = """# Every command

`alpaca-focus COMMAND --help` prints the same. This page is made from the commands themselves.

## How a command ends { #exit-codes }

"""
AFTER_CODES = """
`run` ends with 0 after SIGTERM or Ctrl-C, and with 3 when a device still hung at that moment: the restore marker on
disk brings the focuser back at the next start. Other exit codes stand with their command.
"""


def page() -> str:
    """Return the page as Markdown."""
    parts = [INTRODUCTION + _codes() + AFTER_CODES]
    root = typer.main.get_command(commands)
    with typer.Context(root, info_name="alpaca-focus") as context:
        for name in COMMANDS:
            parts.extend(_texts(root.get_command(context, name), f"alpaca-focus {name}", context))  # type: ignore[attr-defined]
    return "\n\n".join(parts) + "\n"


def anchor(path: str) -> str:
    """Return the anchor of a command by its whole name."""
    return path.replace("alpaca-focus ", "", 1).replace(" ", "-")


def _codes() -> str:
    """Return the table of exit codes, which stands in the commands' own description."""
    return "\n".join(re.findall(r"^\|.*\|$", alpaca_focus.cli.__doc__ or "", re.MULTILINE)) + "\n"


def _texts(command: Any, path: str, parent: Any) -> Iterator[str]:
    with typer.Context(command, info_name=path.rsplit(" ", 1)[1], parent=parent) as context:
        usage = " ".join(re.sub(r"^\{(.*?)\}(\.\.\.)?$", r"\1", each) for each in command.collect_usage_pieces(context))
        # Examples and lists in a help text mean their line breaks.
        text = (command.help or "").replace("\f", "").strip()
        yield f"## {path.removeprefix('alpaca-focus ')} {{ #{anchor(path)} }}\n\n{text}\n\n```\n{path} {usage}\n```"
        rows = [_row(parameter, context) for parameter in command.params if getattr(parameter, "name", "") != "help"]
        if any(rows):
            yield "| argument or option | what it does |\n| --- | --- |\n" + "\n".join(row for row in rows if row)
        for name in command.list_commands(context) if hasattr(command, "list_commands") else ():
            yield from _texts(command.get_command(context, name), f"{path} {name}", context)


def _row(parameter: Any, context: Any) -> str:
    record = parameter.get_help_record(context)
    if record is None:
        return ""
    names, text = (_flat(each) for each in record)
    text = text.replace("|", PIPE)
    for written, plain in PLAINER.items():
        names = re.sub(written, plain, names)
    return f"| <code>{escape(names).replace('|', PIPE)}</code> | {text.replace('[required]', 'Must be given.')} |"


def _flat(text: str | None) -> str:
    return " ".join((text or "").split())
