"""The commands for scripts of an imaging program that has to tell what it does: N.I.N.A., Ekos, Voyager, shells."""

import time
from typing import Annotated

import typer

from alpaca_focus.cli.night import LONGEST_LOOK_S, WAIT_POLL_S, asked
from alpaca_focus.cli.options import ConfigOption

exposure = typer.Typer(
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="Tell of an exposure, for a script of the imaging program to call; for imaging.way: told.",
)


@exposure.command()
def begin(
    config: ConfigOption,
    *,
    seconds: Annotated[float | None, typer.Option(min=0, help="How long it lasts.")] = None,
    dark: Annotated[bool, typer.Option("--dark", help="It sees no stars, and does not count.")] = False,
) -> None:
    """Tell that an exposure begins; waits first for what has the optics, or is due and may be done now."""
    arguments = {"what": "begin", "seconds": seconds, "dark": dark}
    waited_for = ""
    while True:
        told = asked(config, "exposure", arguments, timeout_s=LONGEST_LOOK_S)
        if "waits_for" not in told:
            typer.echo(told["said"])
            return
        if told["waits_for"] != waited_for:
            typer.echo(f"It waits for the end of {told['waits_for']}.")
        waited_for = told["waits_for"]
        time.sleep(WAIT_POLL_S)


@exposure.command()
def end(
    config: ConfigOption,
    *,
    hfd: Annotated[float | None, typer.Option(min=0, help="Size of the stars on its image, px.")] = None,
) -> None:
    """Tell that the exposure has ended; a light frame counts."""
    typer.echo(asked(config, "exposure", {"what": "end", "hfd_px": hfd})["said"])


def filter_(config: ConfigOption, name: Annotated[str, typer.Argument(help="Its name, as in focus.filters.")]) -> None:
    """Tell which filter is in the light, where no filter_wheel can be asked."""
    typer.echo(asked(config, "filter", {"name": name})["said"])


def flip(config: ConfigOption) -> None:
    """Tell that the mount has flipped; the same as `tell flip`."""
    typer.echo(asked(config, "tell", {"what": "flip"})["said"])
