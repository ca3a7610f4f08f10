"""`alpaca-focus simulate` and `demo`: a simulated observatory for any Alpaca client, and a focus run on one."""

import asyncio
import random
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import requests
import typer

from alpaca_focus.alpaca.running import ServerStartError
from alpaca_focus.cli.common import JsonOption
from alpaca_focus.cli.focus import print_run
from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.core.events import Event
from alpaca_focus.core.values import FocusResult
from alpaca_focus.devices.clock import ScaledClock
from alpaca_focus.run.focus_run import focus_once
from alpaca_focus.settings.loader import load_yaml
from alpaca_focus.settings.models import Settings
from alpaca_focus.simulator.observatory import observatory_process, serve_observatory
from alpaca_focus.simulator.settings import ObservatorySettings, SkySettings

DEMO_SPEED = 10.0
"""Simulated seconds per second of the clock."""
DEMO_OFFSETS_STEPS = (300, 1000)
"""Range of the distance from focus at the start."""
NOW = "now"
StartOption = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="Simulated time at the beginning, as 2026-01-15T20:00:00Z, or `now`, as other clocks have it.",
    ),
]


def simulate(
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", metavar="FILE", help="Settings of the simulated observatory (YAML)."),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; by default this machine only.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="TCP port; 0 takes a free one.")] = 11111,
    discovery: Annotated[bool, typer.Option(help="Answer Alpaca discovery on UDP port 32227.")] = True,  # noqa: FBT002 - typer's convention
    start: StartOption = None,
) -> None:
    """Run a simulated observatory for any Alpaca client."""
    settings = _starting(ObservatorySettings() if config is None else load_yaml(config, ObservatorySettings), start)

    def started(bound_port: int) -> None:
        typer.echo(f"A simulated observatory answers Alpaca at {host} port {bound_port}. Ctrl-C ends it.")
        typer.echo(f"Faults, weather and the truth: http://{host}:{bound_port}/simulator/v1")

    try:
        serve_observatory(settings, host=host, port=port, discovery=discovery, on_started=started)
    except ServerStartError as error:
        raise ConfigurationError(error.strerror) from error


def demo(
    seed: Annotated[int | None, typer.Option(help="Seed of the simulated night; a fresh one by default.")] = None,
    start: StartOption = None,
    json: JsonOption = False,  # noqa: FBT002 - typer's convention
) -> None:
    """Focus a simulated telescope through real Alpaca HTTP."""
    explain = (lambda _: None) if json else typer.echo
    observatory = _starting(_demo_observatory(secrets.randbelow(2**31) if seed is None else seed), start)
    print_run(lambda emit: _demonstrate(observatory, emit=emit, explain=explain), json=json)


def _starting(settings: ObservatorySettings, start: str | None) -> ObservatorySettings:
    """Return settings with another time at the beginning; `None` leaves theirs."""
    if start is None:
        return settings
    try:
        at = datetime.now(UTC) if start.lower() == NOW else datetime.fromisoformat(start)
    except ValueError as error:
        raise ConfigurationError(
            f"The start {start!r} is no time. Write it as 2026-01-15T20:00:00Z, or as {NOW}."
        ) from error
    return settings.model_copy(update={"start_utc": at if at.tzinfo is not None else at.replace(tzinfo=UTC)})


async def _demonstrate(
    observatory: ObservatorySettings, *, emit: Callable[[Event], None], explain: Callable[[str], None]
) -> FocusResult:
    """Focus a simulated telescope in another process; `explain` prints a line about the demonstration."""
    with observatory_process(observatory) as address:
        explain(
            f"A simulated observatory (seed {observatory.seed}) answers Alpaca at {address}: a 106 mm f/5 refractor,"
        )
        explain(f"a focuser with {observatory.focuser.backlash_steps:.0f} steps of backlash, 2.5 arcsec seeing.")
        explain(f"Its night runs {observatory.time_factor:.0f} times faster than the clock; its own seconds count.\n")
        settings = _demo_settings(address, observatory)
        result = await focus_once(settings, emit=emit, clock=ScaledClock(observatory.time_factor))
        best_position = await asyncio.to_thread(_best_position, address)
    if result.final_position is not None:
        away = abs(result.final_position - best_position)
        explain(f"The simulator knows the true focus: {best_position:.1f}, {away:.1f} steps away.")
    explain("\nNext: `alpaca-focus simulate` is an observatory to try every command with; see docs/tutorial.md.")
    return result


def _demo_observatory(seed: int) -> ObservatorySettings:
    chance = random.Random(seed)  # noqa: S311 - a start position, not a secret
    usual = ObservatorySettings(seed=seed, time_factor=DEMO_SPEED, sky=SkySettings(star_count=35))
    offset = chance.choice((-1, 1)) * chance.randint(*DEMO_OFFSETS_STEPS)
    start = round(usual.focuser.best_focus_steps - usual.focuser.backlash_steps) + offset
    return usual.model_copy(update={"focuser": usual.focuser.model_copy(update={"start_position": start})})


def _demo_settings(address: str, observatory: ObservatorySettings) -> Settings:
    telescope = observatory.telescope
    return Settings.model_validate(
        {
            "telescope": {
                "name": "simulated refractor",
                "focal_length_mm": telescope.focal_length_mm,
                "aperture_mm": telescope.aperture_mm,
            },
            "alpaca": {"address": address},
            "focuser": {"backlash": {"steps": round(1.5 * observatory.focuser.backlash_steps), "arrive": "in"}},
            "filter_wheel": {},
            "focus": {"exposure_s": 2.0},
        }
    )


def _best_position(address: str) -> float:
    """Return the simulator's true best position for a focuser that arrives moving in."""
    answer = requests.get(f"http://{address}/simulator/v1/truth", timeout=5)
    answer.raise_for_status()
    return float(answer.json()["best_position_arriving_in"])
