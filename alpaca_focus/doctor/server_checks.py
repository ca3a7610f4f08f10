"""An Alpaca server: its reachability, latency and management API."""

import json
import socket
import statistics
import time
from dataclasses import dataclass
from enum import Enum
from functools import partial

from alpaca_focus.alpaca.management import describe, parse_devices
from alpaca_focus.core.device_kinds import DEVICE_KINDS
from alpaca_focus.devices.address import DeviceAddress
from alpaca_focus.devices.translate import WrongValue, as_int
from alpaca_focus.devices.transport import BrokenReply, Deadline, HttpReply, send_request
from alpaca_focus.doctor.checks import Check, Subject
from alpaca_focus.doctor.probe_context import ProbeContext, run_in_thread

REQUESTS = 20
MOST_LOST = 2
_NUMBERS = {"ClientID": 1, "ClientTransactionID": 1}
_LEEWAY_S = 1.0
SLOW_S = 0.2
"""A focus run sends several thousand small requests; slower answers lengthen its moves and exposures."""
API_VERSION = 1


class Reachability(Enum):
    """The outcome of the first request: an observation and its remedy."""

    ANSWERS = ("it answers", "")
    NO_NAME = (
        "its name has no address",
        "Correct the name in the settings, set the IP address instead, or repair the name server.",
    )
    REFUSED = (
        "the computer answers, but nothing listens at that port",
        "Start the Alpaca server, or correct the port in the settings.",
    )
    SILENT = (
        "no answer within {timeout_s:g} s",
        "Check that the computer is on, the address right, no firewall in between, and that its server runs.",
    )
    NO_ROUTE = (
        "there is no route to it",
        "Check the network cable or the Wi-Fi of this computer, and the address in the settings.",
    )
    NO_HTTP = (
        "a program answers, but not over HTTP",
        "Correct the port in the settings: another program listens there.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """A server and its answers.

    Attributes:
        detail: The operating system's message if there was no answer.
        round_trips_s: Durations of the requests that were answered.
        lost: Number of requests without an answer.
        versions: `None` without a management API.
        devices: As text; empty if unknown.
    """

    address: str
    reachability: Reachability
    detail: str = ""
    timeout_s: float = 5.0
    round_trips_s: tuple[float, ...] = ()
    lost: int = 0
    versions: tuple[int, ...] | None = None
    description: str = ""
    devices: str = ""


def servers_of(context: ProbeContext) -> tuple[DeviceAddress, ...]:
    """Return the servers that the settings name, each once."""
    sections = (section for section in DEVICE_KINDS if getattr(context.settings, section) is not None)
    return tuple({address.authority: address for address in map(context.address, sections)}.values())


async def probe_server(context: ProbeContext, address: DeviceAddress) -> None:
    """Probe one server, and add it to the unreachable ones if it does not answer."""
    timeout_s = context.timeout_s
    try:
        await run_in_thread(partial(socket.getaddrinfo, address.host, address.port), timeout_s)
    except TimeoutError:
        facts = _unreachable(address, Reachability.NO_NAME, timeout_s, "the name server does not answer")
    except (OSError, UnicodeError) as error:  # UnicodeError: a name that cannot be written for a name server
        why = (error.strerror if isinstance(error, OSError) else "") or str(error)
        facts = _unreachable(address, Reachability.NO_NAME, timeout_s, why.lower())
    else:
        try:
            # Each request has its own deadline; this one is for all of them.
            facts = await run_in_thread(
                partial(_read_server, address, timeout_s), (REQUESTS + 2) * timeout_s + _LEEWAY_S
            )
        except TimeoutError:
            facts = _unreachable(address, Reachability.SILENT, timeout_s)
    if facts.reachability is not Reachability.ANSWERS:
        context.unreachable.add(address.authority)
    context.add(*check_server(facts))


def _unreachable(address: DeviceAddress, reachability: Reachability, timeout_s: float, detail: str = "") -> ServerFacts:
    return ServerFacts(address=address.authority, reachability=reachability, detail=detail, timeout_s=timeout_s)


def _read_server(address: DeviceAddress, timeout_s: float) -> ServerFacts:
    try:
        first = _get(address, "/management/apiversions", timeout_s)
    except TimeoutError:
        return _unreachable(address, Reachability.SILENT, timeout_s)
    except ConnectionRefusedError:
        return _unreachable(address, Reachability.REFUSED, timeout_s)
    except OSError as error:
        return _unreachable(address, Reachability.NO_ROUTE, timeout_s, (error.strerror or str(error)).lower())
    except BrokenReply as error:
        return _unreachable(address, Reachability.NO_HTTP, timeout_s, str(error))
    round_trips_s, lost = _round_trips(address, timeout_s)
    versions = _versions_in(first)
    return ServerFacts(
        address=address.authority,
        reachability=Reachability.ANSWERS,
        timeout_s=timeout_s,
        round_trips_s=round_trips_s,
        lost=lost,
        versions=versions,
        description="" if versions is None else _description(address, timeout_s),
        devices="" if versions is None else _devices(address, timeout_s),
    )


def _round_trips(address: DeviceAddress, timeout_s: float) -> tuple[tuple[float, ...], int]:
    """Send small requests; return the duration of each answered one, and the number of unanswered ones."""
    took_s, lost, ends_at = list[float](), 0, time.monotonic() + 2 * timeout_s
    for _ in range(REQUESTS):
        began_s = time.monotonic()
        if began_s > ends_at or lost >= MOST_LOST:
            break
        try:
            _get(address, "/management/apiversions", timeout_s)
        except (OSError, BrokenReply):
            lost += 1
        else:
            took_s.append(time.monotonic() - began_s)
    return tuple(took_s), lost


def _get(address: DeviceAddress, path: str, timeout_s: float) -> HttpReply:
    return send_request(address, "GET", path, Deadline(timeout_s), query=_NUMBERS)


def _value(reply: HttpReply) -> object:
    """Return the Value of a reply, or `None`."""
    try:
        content = json.loads(reply.body)
    except (ValueError, RecursionError):
        return None
    return content.get("Value") if reply.status == 200 and isinstance(content, dict) else None


def _versions_in(reply: HttpReply) -> tuple[int, ...] | None:
    value = _value(reply)
    if not isinstance(value, list):
        return None
    try:
        return tuple(as_int(each) for each in value)
    except WrongValue:
        return None


def _description(address: DeviceAddress, timeout_s: float) -> str:
    try:
        value = _value(_get(address, "/management/v1/description", timeout_s))
    except (OSError, BrokenReply):
        return ""
    if not isinstance(value, dict):
        return ""
    parts = [str(value.get(key) or "").strip() for key in ("ServerName", "ManufacturerVersion", "Manufacturer")]
    name = " ".join(part for part in parts[:2] if part)
    return f"{name}, by {parts[2]}" if name and parts[2] else name


def _devices(address: DeviceAddress, timeout_s: float) -> str:
    try:
        return describe(parse_devices(_value(_get(address, "/management/v1/configureddevices", timeout_s))))
    except (OSError, BrokenReply, ValueError):
        return ""


# The rules.


def check_server(facts: ServerFacts) -> tuple[Check, ...]:
    """Check a server."""
    subject = Subject(f"server {facts.address}")
    if facts.reachability is not Reachability.ANSWERS:
        return (
            _not_reachable(subject, facts),
            *(subject.not_tried(name, "it does not answer") for name in ("latency", "management")),
        )
    return (
        subject.ok("reachable", facts.description or "it answers, without reporting a name"),
        _latency(subject, facts),
        _management(subject, facts),
    )


def _not_reachable(subject: Subject, facts: ServerFacts) -> Check:
    seen, remedy = facts.reachability.value
    detail = f" ({facts.detail})" if facts.detail else ""
    return subject.fails("reachable", f"{seen.format(timeout_s=facts.timeout_s)}{detail}", remedy)


def _latency(subject: Subject, facts: ServerFacts) -> Check:
    if not facts.round_trips_s:
        remedy = "Check whether its server hangs, or accepts only one connection at a time."
        return subject.fails("latency", f"it answered once, and then not again within {facts.timeout_s:g} s", remedy)
    median_s, largest_s = statistics.median(facts.round_trips_s), max(facts.round_trips_s)
    seen = f"{_ms(median_s)} a request, {_ms(largest_s)} at most, in {len(facts.round_trips_s)} requests"
    if facts.lost:
        remedy = "Check the network between the two computers; a cable is better than Wi-Fi."
        return subject.note("latency", f"{seen}; {facts.lost} more had no answer within {facts.timeout_s:g} s", remedy)
    if median_s > SLOW_S:
        remedy = "Check the load of that computer and the network; a cable is better than Wi-Fi."
        return subject.note("latency", f"{seen}: slow", remedy)
    return subject.ok("latency", seen)


def _ms(duration_s: float) -> str:
    return f"{1000 * duration_s:.0f} ms" if duration_s >= 0.01 else f"{1000 * duration_s:.1f} ms"


def _management(subject: Subject, facts: ServerFacts) -> Check:
    if facts.versions is None:
        remedy = "Nothing needs doing: select devices by device_number, not by unique_id."
        return subject.note("management", "it has no management API, and thus no list of its devices", remedy)
    versions = ", ".join(map(str, facts.versions)) or "none"
    if API_VERSION not in facts.versions:
        seen = f"it supports version {versions} of the Alpaca API, and this program version {API_VERSION}"
        return subject.fails("management", seen, "Use another version of that server.")
    return subject.ok("management", f"API version {versions}; {facts.devices or 'its list of devices cannot be read'}")
