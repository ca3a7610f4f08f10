"""Looks at what runs besides the devices: our own daemon, the broker, the services of messages, the ports."""

import errno
import socket
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from alpaca_focus.addressees import mqtt_settings, services_of
from alpaca_focus.checkup.checks import Subject
from alpaca_focus.checkup.programs import (
    DaemonFacts,
    Holder,
    PortState,
    judge_broker,
    judge_daemon,
    judge_port,
    judge_services,
)
from alpaca_focus.core.errors import ConfigurationError, DaemonNotRunning, DaemonUnresponsive, RunsAlready
from alpaca_focus.core.status import Waiting
from alpaca_focus.examining.aside import aside
from alpaca_focus.examining.bench import Bench
from alpaca_focus.notify.mqtt_probe import broker_trouble
from alpaca_focus.runtime.control_client import ask, status_of_reply
from alpaca_focus.runtime.control_wire import lock_path, socket_path
from alpaca_focus.runtime.lock import exclusive_lock
from alpaca_focus.settings.models import Settings
from alpaca_focus.settings.secrets import token_of

SERVICES_WITHIN_S = 30.0
"""A Raspberry Pi takes seconds to load Apprise."""


async def look_at_daemon(bench: Bench, held: ExitStack) -> DaemonFacts:
    """Find out whether another alpaca-focus has the devices; if none has, hold them until `held` is closed."""
    directory = bench.settings.storage.folder
    facts = DaemonFacts(holder=Holder.NOBODY) if directory is None else await _holder(bench, directory, held)
    bench.found.append(judge_daemon(facts))
    bench.gently = facts.why_gently
    return facts


async def _holder(bench: Bench, directory: Path, held: ExitStack) -> DaemonFacts:
    told, lock = str(directory), lock_path(directory)
    try:
        # Nothing is made here: where there is no folder there is no daemon.
        if await aside(directory.is_dir, bench.timeout_s):
            held.enter_context(exclusive_lock(lock))
    except RunsAlready:
        return await _state(bench, directory)
    except (ConfigurationError, PermissionError):
        if await aside(partial(_may_be_locked, lock), bench.timeout_s):
            return DaemonFacts(holder=Holder.UNKNOWN, directory=told, trouble=f"this user may not look into {told}")
    except TimeoutError:
        return DaemonFacts(holder=Holder.UNKNOWN, directory=told, trouble=f"the disk of {told} does not answer")
    except OSError:
        # No folder can have that name: the look at the storage says so.
        return DaemonFacts(holder=Holder.NOBODY, directory=told)
    return DaemonFacts(holder=Holder.NOBODY, directory=told)


def _may_be_locked(lock: Path) -> bool:
    try:
        return lock.exists()
    except PermissionError:
        return True


async def _state(bench: Bench, directory: Path) -> DaemonFacts:
    told, timeout_s = str(directory), bench.timeout_s
    work = partial(ask, socket_path(directory), "status", {}, timeout_s=timeout_s)
    try:
        reply = await aside(work, 2 * timeout_s)
        if "error" in reply:
            return DaemonFacts(holder=Holder.DAEMON, directory=told, trouble=str(reply["error"]))
        status = status_of_reply(reply)
    except DaemonNotRunning:
        return DaemonFacts(holder=Holder.COMMAND, directory=told)
    except (DaemonUnresponsive, ConfigurationError) as error:
        return DaemonFacts(holder=Holder.DAEMON, directory=told, trouble=str(error))
    except TimeoutError:
        trouble = f"The daemon does not answer within {timeout_s:g} s. Look into its log."
        return DaemonFacts(holder=Holder.DAEMON, directory=told, trouble=trouble)
    if isinstance(status, Waiting):
        state = f"{status.state}: {status.why}" if status.why else status.state
    else:
        state = f"{status.state}, paused" if status.paused else status.state
    return DaemonFacts(holder=Holder.DAEMON, directory=told, state=state)


async def look_at_broker(bench: Bench) -> None:
    """Connect to the MQTT broker, and hang up again."""
    section = bench.settings.mqtt
    if section is None:
        return
    timeout_s = bench.timeout_s
    wanted = await aside(partial(mqtt_settings, bench.settings), timeout_s)
    try:
        trouble = await aside(partial(broker_trouble, wanted, timeout_s), 2 * timeout_s + 1)
    except TimeoutError:
        trouble = f"{section.broker} does not answer within {timeout_s:g} s. Look at mqtt.broker and the network."
    bench.found.append(judge_broker(section.broker, trouble, user=wanted.user))


async def look_at_ports(bench: Bench, *, daemon_runs: bool) -> None:
    """See whether the daemon can listen where the settings say."""
    settings = bench.settings
    wanted = []
    if settings.web is not None:
        wanted.append(("dashboard", "web", settings.web.listen, settings.web.port))
    if settings.imaging.way == "gateway":
        wanted.append(("gateway", "gateway", settings.gateway.listen, settings.gateway.port))
    for name, setting, listen, port in wanted:
        state = await aside(partial(port_state, listen, port), bench.timeout_s)
        bench.found.append(judge_port(Subject(name), setting, f"{listen}:{port}", state, daemon_runs=daemon_runs))
    if settings.web is not None and settings.web.token_file is not None:
        # Raises what is wrong with it.
        await aside(partial(token_of, settings.web), bench.timeout_s)
        bench.found.append(Subject("dashboard").ok("token", "web.token_file can be read"))


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


async def look_at_messages(bench: Bench) -> None:
    """See whether Apprise understands the services; nothing is sent."""
    wanted = bench.settings.messages
    if wanted is None:
        return
    services = await aside(partial(services_of, wanted), SERVICES_WITHIN_S)
    bench.found.append(judge_services([(each.name, each.is_known) for each in services]))


def secrets_in(settings: Settings) -> tuple[str, ...]:
    """Return the names of the settings that hold a secret."""
    found = {
        "messages.services": settings.messages is not None and bool(settings.messages.services),
        "mqtt.password": settings.mqtt is not None and settings.mqtt.password is not None,
        "web.token": settings.web is not None and settings.web.token is not None,
        "thermometer.url": "@" in (settings.thermometer.url or "") or "?" in (settings.thermometer.url or ""),
    }
    return tuple(name for name, is_there in found.items() if is_there)
