"""The other programs: the daemon, PHD2, the MQTT broker, the message services, the ports."""

import errno
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path

from alpaca_focus.core.errors import AlreadyRunning, ConfigurationError, DaemonNotRunning, DaemonUnresponsive
from alpaca_focus.core.status import Waiting
from alpaca_focus.devices.phd2_wire import connected, one_line
from alpaca_focus.doctor.checks import Check, Subject
from alpaca_focus.doctor.probe_context import ProbeContext, run_in_thread
from alpaca_focus.notify.mqtt_client import broker_problem
from alpaca_focus.notify.notification_settings import mqtt_settings, services_of
from alpaca_focus.service.control_client import ask, status_of_reply
from alpaca_focus.service.control_wire import exclusive_lock, lock_path, socket_path
from alpaca_focus.settings.loader import token_of
from alpaca_focus.settings.models import Settings

SERVICES_WITHIN_S = 30.0
"""A Raspberry Pi takes seconds to load Apprise."""


class Holder(Enum):
    """The program that holds the lock on the devices: why they may only be read, as a clause."""

    NOBODY = ""
    DAEMON = "the daemon holds the devices: they are only read"
    COMMAND = "another alpaca-focus command holds the devices: they are only read"
    UNKNOWN = "it is unknown whether a daemon holds the devices: they are only read"


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonFacts:
    """Whether another alpaca-focus holds the devices.

    Attributes:
        problem: Why the holder is unknown, or why the daemon does not answer; empty if there is no problem.
        directory: The storage.directory; empty if there is none.
    """

    holder: Holder
    state: str = ""
    problem: str = ""
    directory: str = ""


class PortState(Enum):
    """The outcome of an attempt to listen at an address of a section: an observation and its remedy."""

    FREE = ("{} is free", "")
    TAKEN = ("another program listens at {}", "End that program, or choose another {}.port.")
    NO_ADDRESS = ("{} is no address of this computer", "Correct {}.listen: `ip address` shows them.")
    FORBIDDEN = ("this user may not listen at {}", "Choose a {}.port above 1023.")


async def probe_daemon(context: ProbeContext, locks: ExitStack) -> None:
    """Check whether another alpaca-focus holds the devices; if not, hold them until `locks` is closed."""
    directory = context.settings.storage.folder
    facts = DaemonFacts(holder=Holder.NOBODY) if directory is None else await _holder(context, directory, locks)
    context.add(check_daemon(facts))
    context.read_only_reason = facts.holder.value
    context.daemon_runs = facts.holder is Holder.DAEMON


async def _holder(context: ProbeContext, directory: Path, locks: ExitStack) -> DaemonFacts:
    name, lock = str(directory), lock_path(directory)
    try:
        # The folder is not created: without it no daemon runs.
        if await run_in_thread(directory.is_dir, context.timeout_s):
            locks.enter_context(exclusive_lock(lock))
    except AlreadyRunning:
        return await _state(context, directory)
    except (ConfigurationError, PermissionError):
        if await run_in_thread(partial(_may_be_locked, lock), context.timeout_s):
            return DaemonFacts(holder=Holder.UNKNOWN, directory=name, problem=f"this user may not read {name}")
    except TimeoutError:
        return DaemonFacts(holder=Holder.UNKNOWN, directory=name, problem=f"the disk of {name} does not answer")
    except OSError:
        # No folder can have that name: the check of the storage reports it.
        pass
    return DaemonFacts(holder=Holder.NOBODY, directory=name)


def _may_be_locked(lock: Path) -> bool:
    try:
        return lock.exists()
    except PermissionError:
        return True


async def _state(context: ProbeContext, directory: Path) -> DaemonFacts:
    name, timeout_s = str(directory), context.timeout_s
    work = partial(ask, socket_path(directory), "status", {}, timeout_s=timeout_s)
    try:
        reply = await run_in_thread(work, 2 * timeout_s)
        if "error" in reply:
            return DaemonFacts(holder=Holder.DAEMON, directory=name, problem=str(reply["error"]))
        status = status_of_reply(reply)
    except DaemonNotRunning:
        return DaemonFacts(holder=Holder.COMMAND, directory=name)
    except (DaemonUnresponsive, ConfigurationError) as error:
        return DaemonFacts(holder=Holder.DAEMON, directory=name, problem=str(error))
    except TimeoutError:
        problem = f"The daemon does not answer within {timeout_s:g} s. Read its log."
        return DaemonFacts(holder=Holder.DAEMON, directory=name, problem=problem)
    if isinstance(status, Waiting):
        state = f"{status.state}: {status.why}" if status.why else status.state
    else:
        state = f"{status.state}, paused" if status.paused else status.state
    return DaemonFacts(holder=Holder.DAEMON, directory=name, state=state)


async def probe_broker(context: ProbeContext) -> None:
    """Connect to the MQTT broker, and disconnect."""
    section = context.settings.mqtt
    if section is None:
        return
    timeout_s = context.timeout_s
    wanted = await run_in_thread(partial(mqtt_settings, context.settings), timeout_s)
    try:
        problem = await run_in_thread(partial(broker_problem, wanted, timeout_s), 2 * timeout_s + 1)
    except TimeoutError:
        problem = f"{section.broker} does not answer within {timeout_s:g} s. Check mqtt.broker and the network."
    context.add(check_broker(section.broker, problem, user=wanted.user))


async def probe_ports(context: ProbeContext) -> None:
    """Check whether the daemon can listen at the addresses of the settings."""
    settings = context.settings
    listeners = []
    if settings.web is not None:
        listeners.append(("dashboard", "web", settings.web.listen, settings.web.port))
    if settings.imaging.way == "gateway":
        listeners.append(("gateway", "gateway", settings.gateway.listen, settings.gateway.port))
    for name, section, listen, port in listeners:
        state = await run_in_thread(partial(port_state, listen, port), context.timeout_s)
        context.add(check_port(Subject(name), section, f"{listen}:{port}", state, daemon_runs=context.daemon_runs))
    if settings.web is not None and settings.web.token_file is not None:
        # Raises a ConfigurationError with the problem of the file.
        await run_in_thread(partial(token_of, settings.web), context.timeout_s)
        context.add(Subject("dashboard").ok("token", "web.token_file can be read"))


def port_state(listen: str, port: int) -> PortState:
    """Listen for a moment, as the daemon does."""
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(listen, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(where)
            listener.listen()
    except (socket.gaierror, UnicodeError):
        return PortState.NO_ADDRESS
    except OSError as error:
        states = {errno.EADDRNOTAVAIL: PortState.NO_ADDRESS, errno.EACCES: PortState.FORBIDDEN}
        return states.get(error.errno or 0, PortState.TAKEN)
    return PortState.FREE


async def probe_messages(context: ProbeContext) -> None:
    """Check whether Apprise understands the message services, without sending anything."""
    wanted = context.settings.messages
    if wanted is None:
        return
    services = await run_in_thread(partial(services_of, wanted), SERVICES_WITHIN_S)
    context.add(check_services([(each.name, each.is_known) for each in services]))


def secrets_in(settings: Settings) -> tuple[str, ...]:
    """Return the names of the settings that hold a secret."""
    is_secret = {
        "messages.services": settings.messages is not None and bool(settings.messages.services),
        "mqtt.password": settings.mqtt is not None and settings.mqtt.password is not None,
        "web.token": settings.web is not None and settings.web.token is not None,
        "thermometer.url": "@" in (settings.thermometer.url or "") or "?" in (settings.thermometer.url or ""),
    }
    return tuple(name for name, holds in is_secret.items() if holds)


async def probe_guider(context: ProbeContext) -> None:
    """Probe PHD2."""
    section = context.settings.guider
    if section is None:
        return
    async with connected(section.address, f"PHD2 at {section.address}") as connection:
        state = one_line(await connection.call("get_app_state"))
    context.add(check_guider(state))


# The rules.


def check_daemon(facts: DaemonFacts) -> Check:
    """Check whether a daemon runs, and its state."""
    subject = Subject("daemon")
    match facts.holder:
        case Holder.NOBODY if not facts.directory:
            return subject.ok("state", "no daemon can run without a storage.directory")
        case Holder.NOBODY:
            return subject.ok("state", f"no daemon runs with {facts.directory}")
        case Holder.DAEMON if facts.problem:
            return subject.failed("state", facts.problem, "Read its log.")
        case Holder.DAEMON:
            reason = facts.holder.value
            return subject.ok("state", f"runs: {facts.state}. {reason[:1].upper()}{reason[1:]}")
        case Holder.COMMAND:
            return subject.note("state", facts.holder.value, "Run the doctor again when it has ended.")
        case Holder.UNKNOWN:
            seen = f"{facts.problem}; {facts.holder.value}"
            return subject.note("state", seen, "Run the doctor as the user that the daemon runs as.")


def check_port(subject: Subject, section: str, address: str, state: PortState, *, daemon_runs: bool) -> Check:
    """Check whether the daemon can listen at an address (host and port) of a section: "web", "gateway"."""
    match state:
        case PortState.FREE if daemon_runs:
            return subject.note("port", f"{address} is free, although the daemon runs", "Find the reason in its log.")
        case PortState.FREE:
            return subject.ok("port", f"{address} is free")
        case PortState.TAKEN if daemon_runs:
            return subject.ok("port", f"{address} is in use, as it should be while the daemon runs")
        case _:
            seen, remedy = state.value
            return subject.fails("port", seen.format(address), remedy.format(section))


def check_services(known: Sequence[tuple[str, bool]]) -> Check:
    """Check message services, given the name of each and whether Apprise understands it."""
    subject = Subject("messages")
    unknown = [name for name, is_known in known if not is_known]
    if not known:
        remedy = "Set messages.services or messages.services_file."
        return subject.note("services", "none is named, so no message is sent", remedy)
    if unknown:
        remedy = "Check the beginning of its URL against the list of Apprise's services."
        return subject.fails("services", f"Apprise does not understand: {', '.join(unknown)}", remedy)
    return subject.ok("services", f"{', '.join(name for name, _ in known)}; `alpaca-focus notify-test` sends a message")


def check_broker(address: str, problem: str, *, user: str | None) -> Check:
    """Check an MQTT broker; `problem`: why it cannot be used, with the remedy, or empty."""
    subject = Subject("mqtt")
    if problem:
        return subject.failed("broker", problem)
    as_user = "without a user name" if user is None else f"as {user}"
    return subject.ok("broker", f"{address} accepts the connection, {as_user}")


def check_guider(state: str) -> Check:
    """Check the state of PHD2."""
    subject = Subject("guider")
    if state == "LostLock":
        return subject.note("state", "PHD2 has lost its star", "Check PHD2.")
    return subject.ok("state", f"PHD2: {state}")
