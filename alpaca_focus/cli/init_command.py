"""`alpaca-focus init`: writes the first settings file."""

import asyncio
import contextlib
import inspect
import io
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from alpaca_focus.cli.common import EXIT_ABORTED
from alpaca_focus.core.device_kinds import DEVICE_KINDS
from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.devices.survey import survey_device
from alpaca_focus.files.file_access import atomic_write, check_folder
from alpaca_focus.setup.device_choice import choose_devices
from alpaca_focus.setup.first_devices import WAYS
from alpaca_focus.setup.first_file import SCHEMA_NAME, next_commands
from alpaca_focus.setup.questions import Given, check_given, collect_answers
from alpaca_focus.setup.server_discovery import discover_servers
from alpaca_focus.setup.surveying import device_lines, settings_text, survey

STANDARD_OUTPUT = Path("-")


def _with_numbers(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for the number of each kind of device, which reaches its `**numbers` by section."""
    signature = inspect.signature(command)
    options = [
        inspect.Parameter(
            section,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[
                int | None, typer.Option(metavar="N", min=0, help=f"Number of the {kind.name}, if there are several.")
            ],
        )
        for section, kind in DEVICE_KINDS.items()
    ]
    *usual, _ = signature.parameters.values()
    command.__signature__ = signature.replace(parameters=[*usual, *options])  # type: ignore[attr-defined]
    return command


@_with_numbers
def init(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File to write; - is the standard output.")] = Path(
        "alpaca-focus.yaml"
    ),
    *,
    address: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Host and port of the Alpaca server; by default it is discovered."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing; use the options and defaults.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    name: Annotated[str | None, typer.Option(help="Name of the telescope.")] = None,
    focal_length: Annotated[float | None, typer.Option(metavar="MM", help="Focal length.")] = None,
    aperture: Annotated[float | None, typer.Option(metavar="MM", help="Diameter of the aperture.")] = None,
    central_obstruction: Annotated[
        float | None, typer.Option(metavar="FRACTION", help="Of the aperture's diameter; 0 for a refractor.")
    ] = None,
    pixel_size: Annotated[
        float | None, typer.Option(metavar="UM", help="Pixel size, if the camera does not report it.")
    ] = None,
    step_size: Annotated[
        float | None, typer.Option(metavar="UM", help="Step size, if the focuser does not report it.")
    ] = None,
    backlash: Annotated[int | None, typer.Option(metavar="STEPS", help="Backlash; 0 if unknown.")] = None,
    exposure: Annotated[float | None, typer.Option(metavar="S", help="Exposure of a focus frame.")] = None,
    way: Annotated[
        str | None,
        typer.Option(metavar="|".join(WAYS), help="How an imaging program shares the camera; none if there is none."),
    ] = None,
    storage: Annotated[
        str | None, typer.Option(metavar="DIR", help="Folder in which to save the runs, from that of FILE if relative.")
    ] = None,
    **numbers: int | None,
) -> None:
    """Discover the Alpaca devices and write a first settings file.

    It asks for what the devices do not report. No device is moved. A device that was not connected before is
    disconnected again.
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
    given = Given(address=address, numbers=numbers, values=values)
    check_given(given)
    _check_file(file, force=force)
    person = AtTerminal(is_there=not yes and sys.stdin.isatty(), to_stderr=file == STANDARD_OUTPUT)
    try:
        with _interruptible():
            _write(file, given, person, force=force)
    except (KeyboardInterrupt, EOFError):
        typer.echo("\nStopped. Nothing was written.", err=True)
        raise typer.Exit(EXIT_ABORTED) from None


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Handle SIGTERM like Ctrl-C, so that devices are disconnected first, and silence the devices' warnings.

    The notes on the devices repeat these warnings.
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
    """The person at the terminal, if `is_there`; questions and lines go to stderr if `to_stderr`."""

    def __init__(self, *, is_there: bool, to_stderr: bool) -> None:
        self.is_there = is_there
        self._to_stderr = to_stderr
        if isinstance(sys.stdin, io.TextIOWrapper):
            sys.stdin.reconfigure(errors="replace")

    def echo(self, line: str) -> None:
        """Print a line."""
        typer.echo(line, err=self._to_stderr)

    def answer(self, question: str, default: str | None) -> str:
        """Ask a question and return the answer; an empty one is the default, if there is one.

        Raises:
            EOFError: The terminal was closed.
        """
        shown = "" if default is None else f" [{default}]"
        while True:
            typer.echo(f"{question}{shown}: ", nl=False, err=self._to_stderr)
            line = sys.stdin.readline()
            if not line:
                raise EOFError
            text = line.strip() or default
            if text and text.isprintable():
                return text
            if text:
                self.echo("  The answer has unprintable characters, perhaps of an arrow key. Type it again.")


def _check_file(file: Path, *, force: bool) -> None:
    if file == STANDARD_OUTPUT:
        return
    if file.is_dir():
        raise ConfigurationError(f"{file} is a folder: name a file in it.")
    if file.exists() and not file.is_file():
        raise ConfigurationError(f"{file} is not a regular file: name another.")
    if os.path.lexists(file) and not force:
        raise ConfigurationError(f"{file} is there already. Give another name, or --force to overwrite it.")
    check_folder(file, "settings file")


def _write(file: Path, given: Given, person: AtTerminal, *, force: bool) -> None:
    servers = asyncio.run(discover_servers(given.address, person.echo))
    chosen = choose_devices(servers, given, person, lambda *device: asyncio.run(survey_device(*device)))
    observatory = asyncio.run(survey(chosen, person.echo))
    person.echo(f"Found at {observatory.server}:")
    for line in device_lines(observatory):
        person.echo(f"  {line}")
    answers = collect_answers(observatory, given, person)
    name = "FILE" if file == STANDARD_OUTPUT else file.name
    beside_schema = file != STANDARD_OUTPUT and (file.parent / SCHEMA_NAME).is_file()
    text = settings_text(observatory, answers, file_name=name, beside_schema=beside_schema)
    if file == STANDARD_OUTPUT:
        typer.echo(text, nl=False)
        return
    _check_file(file, force=force)
    with atomic_write(file.resolve(), "settings file") as whole:
        whole.write(text.encode())
    person.echo(f"\nWritten: {file}")
    person.echo("Next:")
    for command, what in next_commands(str(file), backlash_known=answers.backlash_steps > 0, way=answers.way):
        person.echo(f"  {command}\n      {what}")
