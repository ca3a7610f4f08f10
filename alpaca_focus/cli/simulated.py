"""`alpaca-focus simulate` and `demo`."""

from pathlib import Path
from typing import Annotated

import typer

from alpaca_focus import simulation
from alpaca_focus.cli.focus import print_run
from alpaca_focus.cli.options import JsonOption


def simulate(
    config: Annotated[
        Path | None, typer.Option("--config", "-c", metavar="FILE", help="Settings of the simulated observatory, YAML.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; by default only this machine.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="TCP port; 0 takes a free one.")] = 11111,
    discovery: Annotated[bool, typer.Option(help="Answer Alpaca discovery on UDP port 32227.")] = True,  # noqa: FBT002 - typer's way
) -> None:
    """Run the simulated observatory alone, for any Alpaca client to connect to."""
    simulation.simulate(config, host=host, port=port, discovery=discovery, tell=typer.echo)


def demo(
    seed: Annotated[int | None, typer.Option(help="Seed of the simulated night; a fresh one by default.")] = None,
    json: JsonOption = False,  # noqa: FBT002 - typer's way
) -> None:
    """Focus a simulated telescope through real Alpaca HTTP, start to end."""
    tell = (lambda _: None) if json else typer.echo
    print_run(lambda emit: simulation.demo(seed=seed, emit=emit, tell=tell), json=json)
