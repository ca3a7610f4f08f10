"""Looks at the Alpaca servers: whether they answer, how fast, and what they have."""

import json
import socket
import time
from collections.abc import Iterable
from functools import partial

from alpaca_focus.alpaca.management import describe, parse_devices
from alpaca_focus.checkup.servers import Reach, ServerFacts, judge_server
from alpaca_focus.devices.address import DeviceAddress
from alpaca_focus.devices.translate import WrongValue, as_int
from alpaca_focus.devices.transport import BrokenReply, Deadline, HttpReply, send_request
from alpaca_focus.examining.aside import aside
from alpaca_focus.examining.bench import Bench
from alpaca_focus.settings.models import DeviceSection, Settings

QUESTIONS = 20
MOST_LOST = 2
_NUMBERS = {"ClientID": 1, "ClientTransactionID": 1}
_LEEWAY_S = 1.0


def servers_of(settings: Settings, bench: Bench) -> tuple[DeviceAddress, ...]:
    """Return the servers that the settings name, each once."""
    sections: Iterable[DeviceSection | None] = (
        settings.camera,
        settings.focuser,
        settings.filter_wheel,
        settings.mount,
        settings.observing_conditions,
        settings.safety_monitor,
    )
    found = {bench.address(section).authority: bench.address(section) for section in sections if section is not None}
    return tuple(found.values())


async def look_at_server(bench: Bench, address: DeviceAddress) -> None:
    """Look at one server, and remember it if it does not answer."""
    timeout_s = bench.timeout_s
    try:
        await aside(partial(socket.getaddrinfo, address.host, address.port), timeout_s)
    except TimeoutError:
        facts = _without(address, Reach.NO_NAME, timeout_s, "the name server does not answer")
    except (OSError, UnicodeError) as error:  # UnicodeError: a name that cannot be written for a name server
        why = (error.strerror if isinstance(error, OSError) else "") or str(error)
        facts = _without(address, Reach.NO_NAME, timeout_s, why.lower())
    else:
        try:
            # The questions have deadlines of their own.
            facts = await aside(partial(_look, address, timeout_s), (QUESTIONS + 2) * timeout_s + _LEEWAY_S)
        except TimeoutError:
            facts = _without(address, Reach.SILENT, timeout_s)
    if facts.reach is not Reach.ANSWERS:
        bench.silent.add(address.authority)
    bench.found.extend(judge_server(facts))


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
    versions = _versions(first)
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


def _versions(reply: HttpReply) -> tuple[int, ...] | None:
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
