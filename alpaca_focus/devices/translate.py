"""Translates replies of Alpaca servers to values and to this program's errors. Pure: no network, no clock."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

from alpaca_focus.alpaca.errors import ErrorNumber
from alpaca_focus.core.errors import (
    DeviceMisbehaved,
    DeviceRefused,
    DeviceTimeout,
    DeviceUnreachable,
    InvalidValue,
    NotConnected,
    NotSupported,
)

_LONGEST_QUOTE = 300
_REFUSALS: Mapping[int, type[DeviceRefused]] = {
    ErrorNumber.NOT_IMPLEMENTED: NotSupported,
    ErrorNumber.ACTION_NOT_IMPLEMENTED: NotSupported,
    ErrorNumber.NOT_CONNECTED: NotConnected,
    ErrorNumber.INVALID_VALUE: InvalidValue,
}
_ADVICE: Mapping[type[DeviceRefused], str] = {
    NotSupported: "The device does not implement this.",
    NotConnected: "Connect the device to its hardware in its own server, or check its power and cable.",
    InvalidValue: "Check the settings against the device's limits.",
    DeviceRefused: "Check the log of the device's server.",
}


class WrongValue(ValueError):
    """A value does not have the type that the standard requires."""


@dataclass(frozen=True, slots=True)
class DeviceRequest:
    """What was requested of which device, for messages.

    Attributes:
        device: The device's name, for example "focuser 0 at 127.0.0.1:11111 (Moonlite)".
        server: Host and port of its server.
        text: The member, with its arguments if it has any: "Position", "Move(5000)".
    """

    device: str
    server: str
    text: str


def unreachable(request: DeviceRequest, error: OSError) -> DeviceUnreachable:
    """Return the error for a server that does not answer."""
    reason = error.strerror or str(error) or type(error).__name__
    return DeviceUnreachable(
        request.device,
        f"Nothing answers at {request.server}: {reason[:1].lower()}{reason[1:]}. {request.text} was requested from"
        f" {request.device}. Is the server running, and are host and port right?",
    )


def timed_out(request: DeviceRequest, duration_s: float) -> DeviceTimeout:
    """Return the error for a deadline that has passed."""
    return DeviceTimeout(
        request.device,
        f"{request.device} did not answer {request.text} within {duration_s:g} s. The call was given up. Check that"
        " its server is running, reachable and not held up by its hardware.",
    )


def invalid_reply(request: DeviceRequest, reason: str) -> DeviceMisbehaved:
    """Return the error for a reply that is not valid; `reason` is a clause."""
    return DeviceMisbehaved(
        request.device,
        f"The answer of {request.device} to {request.text} makes no sense: {reason}. Check that an Alpaca server"
        " runs there, and check its log.",
    )


def refusal(request: DeviceRequest, number: int, text: str) -> DeviceRefused:
    """Return the error for a refused request; `number` is the Alpaca error number or the HTTP status."""
    kind = _REFUSALS.get(number, DeviceRefused)
    code = f"HTTP status {number}" if 100 <= number < 600 else f"Alpaca error 0x{number:X}"
    reason = f'"{text}"' if text else "no reason given"
    message = f"{request.device} refused {request.text}: {reason} ({code}). {_ADVICE[kind]}"
    return kind(request.device, message, number=number)


def value_of_reply(request: DeviceRequest, status: int, body: bytes, *, needs_value: bool) -> object:
    """Return the Value of a reply, or `None` if it has none.

    Tolerates replies without `ErrorNumber`, which several servers send for a success.

    Raises:
        DeviceRefused: The device or its server refused the request.
        DeviceMisbehaved: The reply is not an Alpaca reply.
    """
    reply = _json_object(body)
    if not 200 <= status < 300:
        text = _quote(body) if reply is None else str(reply.get("ErrorMessage") or _quote(body))
        raise refusal(request, _error_number(request, reply or {}) or status, text)
    if reply is None:
        raise invalid_reply(request, f"it is not a JSON object but {_quote(body)!r}")
    number = _error_number(request, reply)
    if number == 0 and needs_value and "Value" not in reply and reply.get("ErrorMessage"):
        number = ErrorNumber.UNSPECIFIED
    if number:
        raise refusal(request, number, str(reply.get("ErrorMessage") or ""))
    if needs_value and reply.get("Value") is None:
        raise invalid_reply(request, "it has no Value")
    return reply.get("Value")


def _json_object(body: bytes) -> Mapping[str, object] | None:
    try:
        reply = json.loads(body)
    except (ValueError, RecursionError):  # not JSON, not even text, or nested without end
        return None
    return reply if isinstance(reply, dict) else None


def _error_number(request: DeviceRequest, reply: Mapping[str, object]) -> int:
    try:
        return as_int(reply.get("ErrorNumber") or 0)
    except ValueError as error:
        raise invalid_reply(request, f"its ErrorNumber is {reply.get('ErrorNumber')!r}") from error


def _quote(body: bytes) -> str:
    text = " ".join(body[: 2 * _LONGEST_QUOTE].decode(errors="replace").split())
    return text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}..."


# Conversions: each raises `WrongValue` if the value is not of its type.


def as_int(value: object) -> int:
    """Convert to a whole number, also from a float or a text."""
    number = as_float(value)
    if not math.isfinite(number) or number != round(number):
        raise WrongValue(f"{value!r} is not a whole number")
    return int(value) if isinstance(value, int) else round(number)


def as_float(value: object) -> float:
    """Convert to a number, also from a text; NaN and infinities are numbers."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise WrongValue(f"{value!r} is not a number")
    try:
        return float(value)
    except (ValueError, OverflowError) as error:
        raise WrongValue(f"{value!r} is not a number") from error


def as_bool(value: object) -> bool:
    """Convert to a truth value, also from a text or from 0 and 1."""
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in {"true", "1"}:
        return True
    if word in {"false", "0"}:
        return False
    raise WrongValue(f"{value!r} is neither true nor false")


def as_text(value: object) -> str:
    """Return a text as it is."""
    if not isinstance(value, str):
        raise WrongValue(f"{value!r} is not text")
    return value


def as_texts(value: object) -> tuple[str, ...]:
    """Convert a list of texts."""
    return tuple(as_text(item) for item in _as_list(value))


def as_signed_ints(value: object) -> tuple[int, ...]:
    """Convert a list of 32 bit numbers; some filter wheels send negative ones as unsigned, 4294967293 for -3."""
    return tuple(number - 2**32 if number >= 2**31 else number for number in map(as_int, _as_list(value)))


def _as_list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise WrongValue(f"{value!r} is not a list")
    return value
