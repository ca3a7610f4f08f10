"""The programs beside the devices: the daemon, PHD2, the MQTT broker, the message services, the ports."""

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
from alpaca_focus.doctor.examination import Examination, run_in_thread
from alpaca_focus.notify.mqtt_client import broker_problem
from alpaca_focus.notify.notification_settings import mqtt_settings, services_of
from alpaca_focus.service.control_client import ask, status_of_reply
from alpaca_focus.service.control_wire import exclusive_lock, lock_path, socket_path
from alpaca_focus.settings.loader import token_of
from alpaca_focus.settings.models import Settings

SERVICES_WITHIN_S = 30.0
"""A Raspberry Pi takes seconds to load Apprise."""


class Holder(Enum):
    """The program that has the devices."""

    NOBODY = "nobody"
    DAEMON = "daemon"
    COMMAND = "command"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonFacts:
    """Whether another alpaca-focus has the devices.

    Attributes:
        holder: Who has them.
        state: The state that the daemon reports.
        trouble: Why it is not known, or why the daemon does not answer; empty: no trouble.
        directory: The storage.directory; empty: none.
    """

    holder: Holder
    state: str = ""
    trouble: str = ""
    directory: str = ""

    @property
    def why_gently(self) -> str:
        """Why the devices are only read, as a clause; empty: they need not be."""
        match self.holder:
            case Holder.NOBODY:
                return ""
            case Holder.DAEMON:
                return "the daemon has the devices: they are only read"
            case Holder.COMMAND:
                return "another command of alpaca-focus has the devices: they are only read"
            case Holder.UNKNOWN:
                return "it is unknown whether a daemon has the devices: they are only read"


class PortState(Enum):
    """The outcome of an attempt to listen."""

    FREE = "free"
    TAKEN = "taken"
    NO_ADDRESS = "no such address here"
    FORBIDDEN = "forbidden"


async def probe_daemon(examination: Examination, held: ExitStack) -> None:
    """Find out whether another alpaca-focus has the devices; if none has, hold them until `held` is closed."""
    directory = examination.settings.storage.folder
    facts = DaemonFacts(holder=Holder.NOBODY) if directory is None else await _holder(examination, directory, held)
    examination.add(judge_daemon(facts))
    examination.gently = facts.why_gently
    examination.daemon_runs = facts.holder is Holder.DAEMON


async def _holder(examination: Examination, directory: Path, held: ExitStack) -> DaemonFacts:
    name, lock = str(directory), lock_path(directory)
    try:
        # Nothing is made here: where there is no folder there is no daemon.
        if await run_in_thread(directory.is_dir, examination.timeout_s):
            held.enter_context(exclusive_lock(lock))
    except AlreadyRunning:
        return await _state(examination, directory)
    except (ConfigurationError, PermissionError):
        if await run_in_thread(partial(_may_be_locked, lock), examination.timeout_s):
            return DaemonFacts(holder=Holder.UNKNOWN, directory=name, trouble=f"this user may not read {name}")
    except TimeoutError:
        return DaemonFacts(holder=Holder.UNKNOWN, directory=name, trouble=f"the disk of {name} does not answer")
    except OSError:
        # No folder can have that name: the check of the storage reports it.
        return DaemonFacts(holder=Holder.NOBODY, directory=name)
    return DaemonFacts(holder=Holder.NOBODY, directory=name)


def _may_be_locked(lock: Path) -> bool:
    try:
        return lock.exists()
    except PermissionError:
        return True


async def _state(examination: Examination, directory: Path) -> DaemonFacts:
    name, timeout_s = str(directory), examination.timeout_s
    work = partial(ask, socket_path(directory), "status", {}, timeout_s=timeout_s)
    try:
        reply = await run_in_thread(work, 2 * timeout_s)
        if "error" in reply:
            return DaemonFacts(holder=Holder.DAEMON, directory=name, trouble=str(reply["error"]))
        status = status_of_reply(reply)
    except DaemonNotRunning:
        return DaemonFacts(holder=Holder.COMMAND, directory=name)
    except (DaemonUnresponsive, ConfigurationError) as error:
        return DaemonFacts(holder=Holder.DAEMON, directory=name, trouble=str(error))
    except TimeoutError:
        trouble = f"The daemon does not answer within {timeout_s:g} s. Read its log."
        return DaemonFacts(holder=Holder.DAEMON, directory=name, trouble=trouble)
    if isinstance(status, Waiting):
        state = f"{status.state}: {status.why}" if status.why else status.state
    else:
        state = f"{status.state}, paused" if status.paused else status.state
    return DaemonFacts(holder=Holder.DAEMON, directory=name, state=state)


async def probe_broker(examination: Examination) -> None:
    """Connect to the MQTT broker, and hang up again."""
    section = examination.settings.mqtt
    if section is None:
        return
    timeout_s = examination.timeout_s
    wanted = await run_in_thread(partial(mqtt_settings, examination.settings), timeout_s)
    try:
        trouble = await run_in_thread(partial(broker_problem, wanted, timeout_s), 2 * timeout_s + 1)
    except TimeoutError:
        trouble = f"{section.broker} does not answer within {timeout_s:g} s. Check mqtt.broker and the network."
    examination.add(judge_broker(section.broker, trouble, user=wanted.user))


async def probe_ports(examination: Examination) -> None:
    """Examine whether the daemon can listen at the addresses of the settings."""
    settings = examination.settings
    wanted = []
    if settings.web is not None:
        wanted.append(("dashboard", "web", settings.web.listen, settings.web.port))
    if settings.imaging.way == "gateway":
        wanted.append(("gateway", "gateway", settings.gateway.listen, settings.gateway.port))
    for name, setting, listen, port in wanted:
        state = await run_in_thread(partial(port_state, listen, port), examination.timeout_s)
        examination.add(
            judge_port(Subject(name), setting, f"{listen}:{port}", state, daemon_runs=examination.daemon_runs)
        )
    if settings.web is not None and settings.web.token_file is not None:
        # Raises what is wrong with it.
        await run_in_thread(partial(token_of, settings.web), examination.timeout_s)
        examination.add(Subject("dashboard").ok("token", "web.token_file can be read"))


def port_state(listen: str, port: int) -> PortState:
    """Listen for a moment, as the daemon will."""
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(listen, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(where)
            listener.listen()
    except (socket.gaierror, UnicodeError):
        return PortState.NO_ADDRESS
    except OSError as error:
        return {
            errno.EADDRNOTAVAIL: PortState.NO_ADDRESS,
            errno.EACCES: PortState.FORBIDDEN,
        }.get(error.errno or 0, PortState.TAKEN)
    return PortState.FREE


async def probe_messages(examination: Examination) -> None:
    """Examine whether Apprise understands the services; nothing is sent."""
    wanted = examination.settings.messages
    if wanted is None:
        return
    services = await run_in_thread(partial(services_of, wanted), SERVICES_WITHIN_S)
    examination.add(judge_services([(each.name, each.is_known) for each in services]))


def secrets_in(settings: Settings) -> tuple[str, ...]:
    """Return the names of the settings that hold a secret."""
    found = {
        "messages.services": settings.messages is not None and bool(settings.messages.services),
        "mqtt.password": settings.mqtt is not None and settings.mqtt.password is not None,
        "web.token": settings.web is not None and settings.web.token is not None,
        "thermometer.url": "@" in (settings.thermometer.url or "") or "?" in (settings.thermometer.url or ""),
    }
    return tuple(name for name, is_there in found.items() if is_there)


async def probe_guider(examination: Examination) -> None:
    """Read the state of PHD2."""
    section = examination.settings.guider
    if section is None:
        return
    async with connected(section.address, f"PHD2 at {section.address}") as connection:
        state = one_line(await connection.call("get_app_state"))
    examination.add(judge_guider(state))


# The rules.


def judge_daemon(facts: DaemonFacts) -> Check:
    """Judge whether a daemon runs, and what it does."""
    subject = Subject("daemon")
    match facts.holder:
        case Holder.NOBODY if not facts.directory:
            return subject.ok("state", "none can run without a storage.directory")
        case Holder.NOBODY:
            return subject.ok("state", f"none runs with {facts.directory}")
        case Holder.DAEMON if facts.trouble:
            return subject.failed("state", facts.trouble, "Read its log.")
        case Holder.DAEMON:
            return subject.ok("state", f"runs: {facts.state}. {_capital(facts.why_gently)}")
        case Holder.COMMAND:
            return subject.note("state", facts.why_gently, "Repeat the checkup when it has ended.")
        case Holder.UNKNOWN:
            return subject.note(
                "state", f"{facts.trouble}; {facts.why_gently}", "Run the doctor as the user that the daemon runs as."
            )


def _capital(clause: str) -> str:
    return clause[:1].upper() + clause[1:]


def judge_port(subject: Subject, setting: str, place: str, state: PortState, *, daemon_runs: bool) -> Check:
    """Judge whether the daemon can listen somewhere.

    Args:
        subject: Of the check.
        setting: Section of the settings: "web", "gateway".
        place: Address and port.
        state: The outcome of an attempt.
        daemon_runs: Whether the daemon of these settings runs.
    """
    match state:
        case PortState.FREE if daemon_runs:
            return subject.note(
                "port", f"{place} is free, although the daemon runs", "Read its log: why does it not listen there?"
            )
        case PortState.FREE:
            return subject.ok("port", f"{place} is free")
        case PortState.TAKEN if daemon_runs:
            return subject.ok("port", f"{place} is in use, as it should be while the daemon runs")
        case PortState.TAKEN:
            return subject.fails(
                "port",
                f"another program listens at {place} already",
                f"End that one, or choose another {setting}.port.",
            )
        case PortState.NO_ADDRESS:
            return subject.fails(
                "port", f"{place} is no address of this computer", f"Correct {setting}.listen: `ip address` shows them."
            )
        case PortState.FORBIDDEN:
            return subject.fails("port", f"this user may not listen at {place}", f"Choose a {setting}.port above 1023.")


def judge_services(known: Sequence[tuple[str, bool]]) -> Check:
    """Judge whether Apprise understands the services of messages; nothing is sent.

    Args:
        known: For each service what to call it, and whether it is understood.
    """
    subject = Subject("messages")
    strange = [name for name, is_known in known if not is_known]
    if not known:
        return subject.note(
            "services", "none is named, and no message is sent", "Set messages.services or messages.services_file."
        )
    if strange:
        return subject.fails(
            "services",
            f"Apprise does not understand: {', '.join(strange)}",
            "Check the beginning of its URL against the list of Apprise's services.",
        )
    return subject.ok("services", f"{', '.join(name for name, _ in known)}; `alpaca-focus notify-test` sends a message")


def judge_broker(place: str, trouble: str, *, user: str | None) -> Check:
    """Judge an MQTT broker.

    Args:
        place: Of the broker.
        trouble: Why it cannot be used, a sentence with what to do; empty: it can.
        user: Name that was given; `None`: none.
    """
    subject = Subject("mqtt")
    if trouble:
        return subject.failed("broker", trouble)
    as_user = "without a user name" if user is None else f"as {user}"
    return subject.ok("broker", f"{place} has accepted the connection, {as_user}")


def judge_guider(state: str) -> Check:
    """Judge the state of PHD2."""
    subject = Subject("guider")
    if state == "LostLock":
        return subject.note("state", "PHD2 has lost its star", "Check PHD2.")
    return subject.ok("state", f"PHD2: {state}")
