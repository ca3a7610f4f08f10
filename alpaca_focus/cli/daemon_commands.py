"""The commands that talk to the daemon that `alpaca-focus run` started."""

import json as json_module
import time
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from alpaca_focus.cli.common import ConfigOption, JsonOption, command_group
from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.core.metrics import label_of
from alpaca_focus.core.night.decisions import GAP_REASONS
from alpaca_focus.core.status import WATCHING, GatewayStatus, Status, Waiting
from alpaca_focus.core.values import Outcome
from alpaca_focus.service.control_client import ask, status_of_reply
from alpaca_focus.service.control_wire import socket_path
from alpaca_focus.settings.loader import load_yaml
from alpaca_focus.settings.models import Settings

ANSWER_S = 10.0
LONGEST_LOOK_S = 120.0
"""For a look at devices that all fail to answer."""
LONGEST_WAIT_S = 300.0
"""With `--if-due`, for a camera that does not become free: the script that waits has no exposure running."""
WAIT_POLL_S = 0.5
EXIT_FAILED = 1


def status(config: ConfigOption, *, json: JsonOption = False) -> None:
    """Say what the daemon does, what is due, how near each trigger is, and what the last refocus was."""
    told = asked(config, "status", {})
    if json:
        typer.echo(json_module.dumps(told, ensure_ascii=False))
        return
    for line in status_lines(status_of_reply(told)):
        typer.echo(line)


def refocus(
    config: ConfigOption,
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Return when it has ended; exit code 1 if it failed.")] = False,
    if_due: Annotated[
        bool, typer.Option("--if-due", help="Only if one is due, and with --wait only if nothing else holds it up.")
    ] = False,
) -> None:
    """Refocus as soon as possible: after the running exposure."""
    told = asked(config, "refocus", {"if_due": True} if if_due else {}, timeout_s=LONGEST_LOOK_S)
    typer.echo(told["said"])
    if not wait or not told.get("follows", True):
        return
    before, waited_for, waits_until_s = told["runs_ended"], "", time.monotonic() + LONGEST_WAIT_S
    while True:
        time.sleep(WAIT_POLL_S)
        now = status_of_reply(asked(config, "status", {}))
        has_ended = isinstance(now, Status) and now.runs_ended != before
        if if_due and not has_ended:
            if isinstance(now, Status) and now.state != WATCHING:
                continue
            why = _not_worth_waiting(now, is_late=time.monotonic() > waits_until_s)
            if why:
                typer.echo(why)
                return
        waits_for = "" if isinstance(now, Waiting) else ", ".join(now.blocked_by)
        if waits_for and waits_for != waited_for:
            typer.echo(f"It waits for: {waits_for}.")
        waited_for = waits_for
        if isinstance(now, Status) and has_ended:
            if now.last_run is None:
                raise ConfigurationError("The daemon has read its settings anew meanwhile: ask again.")
            typer.echo(now.last_run.reason)
            raise typer.Exit(0 if now.last_run.outcome == Outcome.FOCUSED else EXIT_FAILED)


def _not_worth_waiting(now: Status | Waiting, *, is_late: bool) -> str:
    """Return why a script is not kept waiting for a refocus that has not begun; empty: it is."""
    if isinstance(now, Waiting):
        return "The daemon waits for the devices. The imaging may go on."
    if not now.due:
        return "Nothing is due any more."
    waits_for = [reason for reason in now.blocked_by if reason not in GAP_REASONS]
    if waits_for:
        return f"The refocus waits for: {', '.join(waits_for)}. The imaging may go on."
    if is_late:
        return "The camera has not become free. The refocus stays due, and the imaging may go on."
    return ""


def pause(config: ConfigOption) -> None:
    """Do nothing by itself until `resume`; all settings and counters stay."""
    typer.echo(asked(config, "pause", {})["said"])


def resume(config: ConfigOption) -> None:
    """Go on after `pause`."""
    typer.echo(asked(config, "resume", {})["said"])


def abort(config: ConfigOption) -> None:
    """End a run that is under way, or take back the wish for one."""
    typer.echo(asked(config, "abort", {})["said"])


class Switch(StrEnum):
    """On or off."""

    ON = "on"
    OFF = "off"


def compensation(config: ConfigOption, switch: Annotated[Switch, typer.Argument(help="on or off.")]) -> None:
    """Follow the temperature between two refocuses, or do not; it stays so until it is told otherwise."""
    typer.echo(asked(config, "compensation", {"enabled": switch is Switch.ON})["said"])


def tell(
    config: ConfigOption,
    what: Annotated[str, typer.Argument(help="light, dark, flat, bias or idle: the plan; image: one more.")],
    *,
    hfd: Annotated[float | None, typer.Option(min=0, help="Size of the stars on that image, px.")] = None,
) -> None:
    """Tell what the imaging program does, for a script of it to call."""
    # `tell flip` goes on to work, too: `flip` is the same.
    arguments = {"what": what} if hfd is None else {"what": what, "hfd_px": hfd}
    typer.echo(asked(config, "tell", arguments)["said"])


exposure = command_group("Tell of an exposure, for a script of the imaging program to call; for imaging.way: told.")


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
    """Tell that the mount has flipped."""
    typer.echo(asked(config, "tell", {"what": "flip"})["said"])


def asked(
    config: Path, command: str, arguments: Mapping[str, object], *, timeout_s: float = ANSWER_S
) -> dict[str, Any]:
    """Give the daemon a command and return its answer.

    Raises:
        ConfigurationError: It was not carried out, and the message says why.
        DaemonNotRunning: No daemon runs.
        DaemonUnresponsive: It gave no answer in time, or none that makes sense.
    """
    directory = load_yaml(config, Settings).storage.directory
    if directory is None:
        raise ConfigurationError("A daemon has a storage.directory, and these settings have none.")
    told: dict[str, Any] = ask(socket_path(Path(directory).expanduser()), command, arguments, timeout_s=timeout_s)
    if "error" in told:
        raise ConfigurationError(str(told["error"]))
    return told


def status_lines(status: Status | Waiting) -> list[str]:
    """Return what `status` prints."""
    if isinstance(status, Waiting):
        return [f"{status.state}: {status.why}"]
    lines = [f"{status.state}{', paused' if status.paused else ''}; the plan takes: {status.plan}"]
    lines.append(f"last focus: {_last_focus(status)}")
    if status.due:
        lines.append(f"due: {'; '.join(status.due)}")
    if status.blocked_by:
        lines.append(f"waits for: {', '.join(status.blocked_by)}")
    lines += [f"  {each.trigger:<12} {each.state}" for each in status.triggers]
    lines.append(f"now: {_now(status)}")
    followed = status.compensation
    lines.append(
        f"compensation: {followed.moved_steps:+d} steps moved since then, {followed.carried_steps:+.2f} carried"
    )
    if followed.switched_off:
        lines.append("  switched off until `alpaca-focus compensation on`")
    if followed.stopped:
        lines.append(f"  {followed.stopped}")
    held = [
        f"failed runs in a row: {status.failures}" if status.failures else "",
        f"the triggers wait for {status.hold_s:.0f} s more" if status.hold_s else "",
    ]
    if any(held):
        lines.append("; ".join(each for each in held if each))
    if status.advice:
        lines.append(status.advice)
    if status.gateway is not None:
        lines.append(f"gateway: {status.gateway.address}, {_gateway_text(status.gateway)}")
    if status.ignored:
        counted = ", ".join(f"{reason} {count}" for reason, count in status.ignored.items())
        lines.append(f"waited this night, by reason: {counted}")
    if status.last_run is not None:
        lines.append(f"last run: {status.last_run.reason}")
    return lines


def _gateway_text(gateway: GatewayStatus) -> str:
    if gateway.waits:
        return "an exposure waits for the focus run"
    if gateway.taken:
        return "a focus run has the camera"
    waits = "; a focus run waits for the next gap" if gateway.interrupted else ""
    return f"{gateway.images} light frames have passed{waits}"


def _last_focus(status: Status) -> str:
    last = status.last_focus
    if last is None:
        return "none yet"
    parts = [
        f"{last.at:%Y-%m-%d %H:%M} UTC ({status.since_s / 60:.0f} min ago)",
        f"position {last.position}",
        "" if last.value is None else f"{label_of(last.metric)} {last.value:.2f}",
        f"filter {last.filter_name}" if last.filter_name else "",
        "" if last.temperature_c is None else f"{last.temperature_c:.1f} deg C",
        f"why: {last.trigger}" if last.trigger else "",
    ]
    return ", ".join(part for part in parts if part)


def _now(status: Status) -> str:
    temperature_c, altitude_deg, sun_deg = status.temperature_c, status.altitude_deg, status.sun_altitude_deg
    parts = [
        "no temperature" if temperature_c is None else f"{temperature_c:.1f} deg C",
        f"filter {status.filter}" if status.filter else "",
        "" if altitude_deg is None else f"altitude {altitude_deg:.0f} deg",
        "" if sun_deg is None else f"sun at {sun_deg:.0f} deg",
        status.temperature_trouble,
    ]
    return ", ".join(part for part in parts if part)
