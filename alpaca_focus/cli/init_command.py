"""`alpaca-focus init`: the first settings file."""

import asyncio
import contextlib
import io
import logging
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from alpaca_focus.cli.common import EXIT_ABORTED
from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.files.file_access import atomic_write, check_folder
from alpaca_focus.setup.device_choice import choose_devices
from alpaca_focus.setup.first_devices import WAYS, Answers
from alpaca_focus.setup.first_file import SCHEMA_NAME, next_commands
from alpaca_focus.setup.questions import Given, answered, check_given
from alpaca_focus.setup.server_discovery import find_servers
from alpaca_focus.setup.surveying import found_lines, settings_text, survey

STANDARD_OUTPUT = Path("-")


def init(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write; - is the standard output.")] = Path(
        "alpaca-focus.yaml"
    ),
    *,
    address: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Alpaca server; left out: it is looked for.")
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Ask nothing: options and defaults are the answers.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    camera: Annotated[int | None, typer.Option(min=0, help="Number of the camera, where there are several.")] = None,
    focuser: Annotated[int | None, typer.Option(min=0, help="Number of the focuser, where there are several.")] = None,
    name: Annotated[str | None, typer.Option(help="What to call the telescope.")] = None,
    focal_length: Annotated[float | None, typer.Option(metavar="MM", help="Focal length.")] = None,
    aperture: Annotated[float | None, typer.Option(metavar="MM", help="Diameter of the aperture.")] = None,
    central_obstruction: Annotated[
        float | None, typer.Option(metavar="FRACTION", help="Of the aperture's diameter; 0 for a refractor.")
    ] = None,
    pixel_size: Annotated[float | None, typer.Option(metavar="UM", help="Where the camera does not say it.")] = None,
    step_size: Annotated[float | None, typer.Option(metavar="UM", help="Where the focuser does not say it.")] = None,
    backlash: Annotated[int | None, typer.Option(metavar="STEPS", help="Backlash; 0: not known.")] = None,
    exposure: Annotated[float | None, typer.Option(metavar="S", help="Exposure of a focus frame.")] = None,
    way: Annotated[
        str | None,
        typer.Option(metavar="|".join(WAYS), help="The imaging program at the same camera; none: there is no such."),
    ] = None,
    storage: Annotated[str | None, typer.Option(metavar="DIR", help="Folder to keep the runs in.")] = None,
) -> None:
    """Find the Alpaca devices, ask for what they do not say, and write a first settings file with comments.

    Nothing is moved. A device that was not connected before is disconnected again.
    """
    values = {
        "name": name,
        "focal_length_mm": focal_length,
        "aperture_mm": aperture,
        "central_obstruction": central_obstruction,
        "pixel_size_um": pixel_size,
        "step_size_um": step_size,
        "backlash_steps": backlash,
        "exposure_s": exposure,
        "way": way,
        "directory": storage,
    }
    given = Given(address=address, numbers={"camera": camera, "focuser": focuser}, values=values)
    check_given(given)
    _check_file(file, force=force)
    person = AtTerminal(is_there=not yes and sys.stdin.isatty(), aside=file == STANDARD_OUTPUT)
    try:
        with _on_its_own():
            _write(file, given, person, force=force)
    except (KeyboardInterrupt, EOFError):
        typer.echo("\nStopped. Nothing was written.", err=True)
        raise typer.Exit(EXIT_ABORTED) from None


@contextlib.contextmanager
def _on_its_own() -> Iterator[None]:
    """Let SIGTERM end what is done as Ctrl-C does, so that what was connected is disconnected first, and the log rest.

    What the log says of devices is told in the same words by the notes on them.
    """
    devices_log = logging.getLogger("alpaca_focus.devices")
    level = devices_log.level
    devices_log.setLevel(logging.ERROR)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        devices_log.setLevel(level)


class AtTerminal:
    """The person at the terminal, if there is one; what is told goes to the standard error if `aside`."""

    def __init__(self, *, is_there: bool, aside: bool) -> None:
        self._is_there = is_there
        self._aside = aside
        if isinstance(sys.stdin, io.TextIOWrapper):
            sys.stdin.reconfigure(errors="replace")

    @property
    def is_there(self) -> bool:
        """Whether questions can be asked."""
        return self._is_there

    def tell(self, line: str) -> None:
        """Say something."""
        typer.echo(line, err=self._aside)

    def answer(self, question: str, default: str | None) -> str:
        """Ask; an empty answer is the default, if there is one.

        Raises:
            EOFError: The terminal was closed.
        """
        shown = "" if default is None else f" [{default}]"
        while True:
            typer.echo(f"{question}{shown}: ", nl=False, err=self._aside)
            line = sys.stdin.readline()
            if not line:
                raise EOFError
            text = line.strip() or default
            if text and text.isprintable():
                return text
            if text:
                self.tell("  That has signs that cannot be shown, perhaps of an arrow key: write it again.")


def _check_file(file: Path, *, force: bool) -> None:
    if file == STANDARD_OUTPUT:
        return
    if file.is_dir():
        raise ConfigurationError(f"{file} is a folder: name a file in it.")
    if file.exists() and not file.is_file():
        raise ConfigurationError(f"{file} is no ordinary file: name another.")
    if os.path.lexists(file) and not force:
        raise ConfigurationError(f"{file} is there already. Give another name, or --force to write over it.")
    check_folder(file, "settings file")


def _write(file: Path, given: Given, person: AtTerminal, *, force: bool) -> None:
    servers = asyncio.run(find_servers(given.address, person.tell))
    chosen = choose_devices(servers, given, person)
    found = asyncio.run(survey(chosen, person.tell))
    person.tell(f"Found at {found.server}:")
    for line in found_lines(found):
        person.tell(f"  {line}")
    answers = answered(found, given, person)
    name = "FILE" if file == STANDARD_OUTPUT else file.name
    beside_schema = file != STANDARD_OUTPUT and (file.parent / SCHEMA_NAME).is_file()
    text = settings_text(found, answers, file_name=name, beside_schema=beside_schema)
    if file == STANDARD_OUTPUT:
        typer.echo(text, nl=False)
        return
    _check_file(file, force=force)
    with atomic_write(file.resolve(), "settings file") as whole:
        whole.write(text.encode())
    _tell_next(file, answers, person)


def _tell_next(file: Path, answers: Answers, person: AtTerminal) -> None:
    person.tell(f"\nWritten: {file}")
    person.tell("Next:")
    for command, what in next_commands(str(file), backlash_known=answers.backlash_steps > 0):
        person.tell(f"  {command}\n      {what}")
