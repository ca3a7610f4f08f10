"""The commands that control a running daemon (`alpaca-focus run`)."""

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

REPLY_TIMEOUT_S = 10.0
POLL_TIMEOUT_S = 120.0
"""For commands that poll the devices first, all of which may fail to answer."""
LONGEST_WAIT_S = 300.0
"""For `--if-due` while the camera stays busy: the script that waits has no exposure running."""
WAIT_POLL_S = 0.5
EXIT_FAILED = 1


def status(config: ConfigOption, *, json: JsonOption = False) -> None:
    """Show the daemon's state, its triggers and the last refocus."""
    reply = _request(config, "status", {})
    if json:
        typer.echo(json_module.dumps(reply, ensure_ascii=False))
        return
    for line in status_lines(status_of_reply(reply)):
        typer.echo(line)


def refocus(
    config: ConfigOption,
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for its end; exit code 1 if it failed.")] = False,
    if_due: Annotated[
        bool, typer.Option("--if-due", help="Only if one is due; --wait then waits only while the camera is busy.")
    ] = False,
) -> None:
    """Refocus as soon as possible, after the running exposure."""
    reply = _request(config, "refocus", {"if_due": True} if if_due else {}, timeout_s=POLL_TIMEOUT_S)
    typer.echo(reply["said"])
    if not wait or not reply.get("follows", True):
        return
    before, waited_for, waits_until_s = reply["runs_ended"], "", time.monotonic() + LONGEST_WAIT_S
    while True:
        time.sleep(WAIT_POLL_S)
        now = status_of_reply(_request(config, "status", {}))
        has_ended = isinstance(now, Status) and now.runs_ended != before
        if if_due and not has_ended:
            if isinstance(now, Status) and now.state != WATCHING:
                continue
            reason = _reason_not_to_wait(now, is_late=time.monotonic() > waits_until_s)
            if reason:
                typer.echo(reason)
                return
        waits_for = "" if isinstance(now, Waiting) else ", ".join(now.blocked_by)
        if waits_for and waits_for != waited_for:
            typer.echo(f"Waiting for: {waits_for}.")
        waited_for = waits_for
        if isinstance(now, Status) and has_ended:
            if now.last_run is None:
                raise ConfigurationError("The daemon reloaded its settings meanwhile. Run the command again.")
            typer.echo(now.last_run.reason)
            raise typer.Exit(0 if now.last_run.outcome == Outcome.FOCUSED else EXIT_FAILED)


def _reason_not_to_wait(now: Status | Waiting, *, is_late: bool) -> str:
    """Return why a script should not wait for a refocus that has not begun; empty if it should."""
    if isinstance(now, Waiting):
        return "The daemon is waiting for the devices. Imaging may continue."
    if not now.due:
        return "No refocus is due any more."
    waits_for = [reason for reason in now.blocked_by if reason not in GAP_REASONS]
    if waits_for:
        return f"The refocus is waiting for: {', '.join(waits_for)}. Imaging may continue."
    if is_late:
        return "The camera did not become free. The refocus stays due; imaging may continue."
    return ""


def pause(config: ConfigOption) -> None:
    """Pause all automatic moves and runs until `resume`. Settings and counters stay."""
    typer.echo(_request(config, "pause", {})["said"])


def resume(config: ConfigOption) -> None:
    """Resume automatic operation after `pause`."""
    typer.echo(_request(config, "resume", {})["said"])


def abort(config: ConfigOption) -> None:
    """Abort the current run, or withdraw a refocus request."""
    typer.echo(_request(config, "abort", {})["said"])


class Switch(StrEnum):
    """Argument of `compensation`."""

    ON = "on"
    OFF = "off"


def compensation(config: ConfigOption, switch: Annotated[Switch, typer.Argument(help="on or off.")]) -> None:
    """Switch temperature compensation on or off. It stays so until the next such command."""
    typer.echo(_request(config, "compensation", {"enabled": switch is Switch.ON})["said"])


def tell(
    config: ConfigOption,
    what: Annotated[str, typer.Argument(help="light, dark, flat, bias or idle: the plan; image: one image was taken.")],
    *,
    hfd: Annotated[float | None, typer.Option(min=0, help="HFD of the stars in that image, px.")] = None,
) -> None:
    """Report the imaging program's plan or a finished image. For its scripts."""
    # `tell flip` is accepted too, for scripts written before the command `flip` existed.
    arguments = {"what": what} if hfd is None else {"what": what, "hfd_px": hfd}
    typer.echo(_request(config, "tell", arguments)["said"])


exposure = command_group("Report exposures from scripts of the imaging program. For imaging.way: told.")


@exposure.command()
def begin(
    config: ConfigOption,
    *,
    seconds: Annotated[float | None, typer.Option(min=0, help="Its length.")] = None,
    dark: Annotated[bool, typer.Option("--dark", help="A dark frame: it does not count as an image.")] = False,
) -> None:
    """Report that an exposure begins, after waiting for a focus run or move that is in progress or due."""
    arguments = {"what": "begin", "seconds": seconds, "dark": dark}
    waited_for = ""
    while True:
        reply = _request(config, "exposure", arguments, timeout_s=POLL_TIMEOUT_S)
        if "waits_for" not in reply:
            typer.echo(reply["said"])
            return
        if reply["waits_for"] != waited_for:
            typer.echo(f"Waiting for the end of {reply['waits_for']}.")
        waited_for = reply["waits_for"]
        time.sleep(WAIT_POLL_S)


@exposure.command()
def end(
    config: ConfigOption,
    *,
    hfd: Annotated[float | None, typer.Option(min=0, help="HFD of the stars in its image, px.")] = None,
) -> None:
    """Report that the exposure has ended; a light frame counts as an image."""
    typer.echo(_request(config, "exposure", {"what": "end", "hfd_px": hfd})["said"])


def filter_(
    config: ConfigOption, name: Annotated[str, typer.Argument(help="Filter name, as in focus.filters.")]
) -> None:
    """Report the current filter. For settings without filter_wheel."""
    typer.echo(_request(config, "filter", {"name": name})["said"])


def flip(config: ConfigOption) -> None:
    """Report a meridian flip of the mount."""
    typer.echo(_request(config, "tell", {"what": "flip"})["said"])


def _request(
    config: Path, command: str, arguments: Mapping[str, object], *, timeout_s: float = REPLY_TIMEOUT_S
) -> dict[str, Any]:
    """Send the daemon a command and return its reply.

    Raises:
        ConfigurationError: The daemon refused it; the message is its reason.
        DaemonNotRunning: No daemon runs.
        DaemonUnresponsive: No valid reply came in time.
    """
    directory = load_yaml(config, Settings).storage.folder
    if directory is None:
        raise ConfigurationError(
            "These settings have no storage.directory, which the daemon needs. Name the daemon's own settings."
        )
    reply: dict[str, Any] = ask(socket_path(directory), command, arguments, timeout_s=timeout_s)
    if "error" in reply:
        raise ConfigurationError(str(reply["error"]))
    return reply


def status_lines(status: Status | Waiting) -> list[str]:
    """Return the lines that `status` prints."""
    if isinstance(status, Waiting):
        return [f"{status.state}: {status.why}"]
    lines = [
        *([f"{status.headline}."] if status.headline else []),
        f"{status.state}{', paused' if status.paused else ''}; the plan takes: {status.plan}",
        f"last focus: {_last_focus(status)}",
    ]
    if status.due:
        lines.append(f"due: {'; '.join(status.due)}")
    if status.blocked_by:
        lines.append(f"waits for: {', '.join(status.blocked_by)}")
    lines += [f"  {each.trigger:<12} {each.state}" for each in status.triggers]
    lines.append(f"now: {_now(status)}")
    moves = status.compensation
    lines.append(f"compensation: {moves.moved_steps:+d} steps moved since then, {moves.carried_steps:+.2f} carried")
    if moves.switched_off:
        lines.append("  switched off until `alpaca-focus compensation on`")
    if moves.stopped:
        lines.append(f"  {moves.stopped}")
    failures = f"failed runs in a row: {status.failures}" if status.failures else ""
    hold = f"the triggers wait for {status.hold_s:.0f} s more" if status.hold_s else ""
    if failures or hold:
        lines.append("; ".join(filter(None, (failures, hold))))
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
    return ", ".join(filter(None, parts))


def _now(status: Status) -> str:
    temperature_c, altitude_deg, sun_deg = status.temperature_c, status.altitude_deg, status.sun_altitude_deg
    position, expected = status.position, status.expected_position
    age = {name: f" ({age_s:.0f} s old)" for name, age_s in status.ages_s.items()}
    at = f"{position}{age.get('position', '')}{'' if expected is None else f', expected at {expected}'}"
    parts = [
        "" if position is None else f"focuser at {at}",
        "no temperature" if temperature_c is None else f"{temperature_c:.1f} deg C{age.get('temperature_c', '')}",
        f"filter {status.filter}{age.get('filter', '')}" if status.filter else "",
        "" if altitude_deg is None else f"altitude {altitude_deg:.0f} deg{age.get('altitude_deg', '')}",
        "" if sun_deg is None else f"sun at {sun_deg:.0f} deg",
        status.temperature_trouble,
    ]
    return ", ".join(filter(None, parts))
