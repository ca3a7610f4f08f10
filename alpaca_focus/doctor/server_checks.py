"""An Alpaca server: whether it answers, how fast, and what it reports of itself."""

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
from alpaca_focus.doctor.examination import Examination, run_in_thread

QUESTIONS = 20
MOST_LOST = 2
_NUMBERS = {"ClientID": 1, "ClientTransactionID": 1}
_LEEWAY_S = 1.0
SLOW_S = 0.2
"""A run asks several thousand small questions; slower answers make its moves and exposures longer."""
API_VERSION = 1


class Reach(Enum):
    """How far the first question came."""

    ANSWERS = "answers"
    NO_NAME = "its name has no address"
    REFUSED = "refused"
    SILENT = "no answer in time"
    NO_WAY = "no way there"
    NO_HTTP = "it does not speak HTTP"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """A server and its answers.

    Attributes:
        place: Host and port.
        reach: How far the first question came.
        detail: The operating system's message, where there was no answer.
        within_s: How long an answer was waited for.
        round_trips_s: Times of the small questions that were answered.
        lost: How many were not.
        versions: Versions of the API that it reports; `None`: it has no management.
        description: Name and maker that it reports.
        devices: Its devices in words; empty: unknown.
    """

    place: str
    reach: Reach
    detail: str = ""
    within_s: float = 5.0
    round_trips_s: tuple[float, ...] = ()
    lost: int = 0
    versions: tuple[int, ...] | None = None
    description: str = ""
    devices: str = ""


def servers_of(examination: Examination) -> tuple[DeviceAddress, ...]:
    """Return the servers that the settings name, each once."""
    sections = (section for section in DEVICE_KINDS if getattr(examination.settings, section) is not None)
    return tuple({address.authority: address for address in map(examination.address, sections)}.values())


async def probe_server(examination: Examination, address: DeviceAddress) -> None:
    """Examine one server, and note in the examination if it does not answer."""
    timeout_s = examination.timeout_s
    try:
        await run_in_thread(partial(socket.getaddrinfo, address.host, address.port), timeout_s)
    except TimeoutError:
        facts = _without(address, Reach.NO_NAME, timeout_s, "the name server does not answer")
    except (OSError, UnicodeError) as error:  # UnicodeError: a name that cannot be written for a name server
        why = (error.strerror if isinstance(error, OSError) else "") or str(error)
        facts = _without(address, Reach.NO_NAME, timeout_s, why.lower())
    else:
        try:
            # The questions have deadlines of their own.
            facts = await run_in_thread(partial(_look, address, timeout_s), (QUESTIONS + 2) * timeout_s + _LEEWAY_S)
        except TimeoutError:
            facts = _without(address, Reach.SILENT, timeout_s)
    if facts.reach is not Reach.ANSWERS:
        examination.silent.add(address.authority)
    examination.add(*judge_server(facts))


def _without(address: DeviceAddress, reach: Reach, timeout_s: float, detail: str = "") -> ServerFacts:
    return ServerFacts(place=address.authority, reach=reach, detail=detail, within_s=timeout_s)


def _look(address: DeviceAddress, timeout_s: float) -> ServerFacts:
    try:
        first = _asked(address, "/management/apiversions", timeout_s)
    except TimeoutError:
        return _without(address, Reach.SILENT, timeout_s)
    except ConnectionRefusedError:
        return _without(address, Reach.REFUSED, timeout_s)
    except OSError as error:
        return _without(address, Reach.NO_WAY, timeout_s, (error.strerror or str(error)).lower())
    except BrokenReply as error:
        return _without(address, Reach.NO_HTTP, timeout_s, str(error))
    round_trips_s, lost = _round_trips(address, timeout_s)
    versions = _versions_in(first)
    return ServerFacts(
        place=address.authority,
        reach=Reach.ANSWERS,
        within_s=timeout_s,
        round_trips_s=round_trips_s,
        lost=lost,
        versions=versions,
        description="" if versions is None else _description(address, timeout_s),
        devices="" if versions is None else _devices(address, timeout_s),
    )


def _round_trips(address: DeviceAddress, timeout_s: float) -> tuple[tuple[float, ...], int]:
    """Ask small questions; return how long each answer took, and how many did not come."""
    took_s, lost, ends_at = list[float](), 0, time.monotonic() + 2 * timeout_s
    for _ in range(QUESTIONS):
        began_s = time.monotonic()
        if began_s > ends_at or lost >= MOST_LOST:
            break
        try:
            _asked(address, "/management/apiversions", timeout_s)
        except (OSError, BrokenReply):
            lost += 1
        else:
            took_s.append(time.monotonic() - began_s)
    return tuple(took_s), lost


def _asked(address: DeviceAddress, path: str, timeout_s: float) -> HttpReply:
    return send_request(address, "GET", path, Deadline(timeout_s), query=_NUMBERS)


def _value(reply: HttpReply) -> object:
    """Return the Value of a reply; `None`: it has none."""
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
        value = _value(_asked(address, "/management/v1/description", timeout_s))
    except (OSError, BrokenReply):
        return ""
    if not isinstance(value, dict):
        return ""
    parts = [str(value.get(key) or "").strip() for key in ("ServerName", "ManufacturerVersion", "Manufacturer")]
    name = " ".join(part for part in parts[:2] if part)
    return f"{name}, by {parts[2]}" if name and parts[2] else name


def _devices(address: DeviceAddress, timeout_s: float) -> str:
    try:
        return describe(parse_devices(_value(_asked(address, "/management/v1/configureddevices", timeout_s))))
    except (OSError, BrokenReply, ValueError):
        return ""


# The rules.


def judge_server(facts: ServerFacts) -> tuple[Check, ...]:
    """Judge a server."""
    subject = Subject(f"server {facts.place}")
    if facts.reach is not Reach.ANSWERS:
        return (_out_of_reach(subject, facts), *(subject.not_tried(name, "it does not answer") for name in _FURTHER))
    return (
        subject.ok("reachable", facts.description or "it answers, without a name"),
        _latency(subject, facts),
        _management(subject, facts),
    )


_FURTHER = ("latency", "management")


def _out_of_reach(subject: Subject, facts: ServerFacts) -> Check:
    detail = f" ({facts.detail})" if facts.detail else ""
    match facts.reach:
        case Reach.NO_NAME:
            return subject.fails(
                "reachable",
                f"its name has no address{detail}",
                "Correct the name in the settings, give the IP address instead, or mend the name server.",
            )
        case Reach.REFUSED:
            return subject.fails(
                "reachable",
                "the computer is there, and nothing listens at that port",
                "Start the Alpaca server, or correct the port in the settings.",
            )
        case Reach.SILENT:
            return subject.fails(
                "reachable",
                f"no answer within {facts.within_s:g} s{detail}",
                "Check that the computer is on, the address right, and no firewall in between; or whether its "
                "server hangs.",
            )
        case Reach.NO_HTTP:
            return subject.fails(
                "reachable",
                f"something answers, and it is not HTTP{detail}",
                "Correct the port in the settings: another program listens there.",
            )
        case _:
            return subject.fails(
                "reachable",
                f"there is no way to it{detail}",
                "Check the network cable or the WLAN of this computer, and the address in the settings.",
            )


def _latency(subject: Subject, facts: ServerFacts) -> Check:
    if not facts.round_trips_s:
        return subject.fails(
            "latency",
            f"it answered once, and then not within {facts.within_s:g} s",
            "Check whether its server hangs, or takes one connection at a time.",
        )
    median_s, largest_s = statistics.median(facts.round_trips_s), max(facts.round_trips_s)
    seen = f"{_ms(median_s)} a question, {_ms(largest_s)} at most, of {len(facts.round_trips_s)}"
    if facts.lost:
        return subject.note(
            "latency",
            f"{seen}; {facts.lost} more had no answer within {facts.within_s:g} s",
            "Check the network between the two computers; a cable is better than WLAN.",
        )
    if median_s > SLOW_S:
        return subject.note(
            "latency",
            f"{seen}: slow",
            "Check the load of that computer and the network; a cable is better than WLAN.",
        )
    return subject.ok("latency", seen)


def _ms(duration_s: float) -> str:
    return f"{1000 * duration_s:.0f} ms" if duration_s >= 0.01 else f"{1000 * duration_s:.1f} ms"


def _management(subject: Subject, facts: ServerFacts) -> Check:
    if facts.versions is None:
        return subject.note(
            "management",
            "it has no management API, and no list of its devices",
            "Nothing has to be done: name devices by device_number, not by unique_id.",
        )
    versions = ", ".join(map(str, facts.versions)) or "none"
    if API_VERSION not in facts.versions:
        return subject.fails(
            "management",
            f"it speaks the Alpaca API in the versions {versions}, and this program in version {API_VERSION}",
            "Use another version of that server.",
        )
    return subject.ok("management", f"API version {versions}; {facts.devices or 'its list of devices makes no sense'}")
