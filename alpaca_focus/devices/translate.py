"""From what came off the wire to values and to this program's errors. Pure: no network, no clock."""

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
    InvalidValue: "The device takes no such value: check the settings against its limits.",
    DeviceRefused: "Look into the device's server for the cause.",
}


class WrongValue(ValueError):
    """A value is not of the type that the standard gives it."""


@dataclass(frozen=True, slots=True)
class DeviceCall:
    """What was asked of which device, for messages.

    Attributes:
        device: The device's name, for example "focuser 0 at 127.0.0.1:11111 (Moonlite)".
        place: Host and port of its server.
        text: The member, with its arguments if it has any: "Position", "Move(5000)".
    """

    device: str
    place: str
    text: str


def unreachable(question: DeviceCall, error: OSError) -> DeviceUnreachable:
    """Say that nothing answers, and what to look at."""
    reason = error.strerror or str(error) or type(error).__name__
    return DeviceUnreachable(
        question.device,
        f"Nothing answers at {question.place}: {reason[:1].lower()}{reason[1:]}."
        f" {question.device[:1].upper()}{question.device[1:]} was asked for {question.text}."
        " Is the server running, and are host and port right?",
    )


def timed_out(question: DeviceCall, duration_s: float) -> DeviceTimeout:
    """Say that the deadline has passed."""
    return DeviceTimeout(
        question.device,
        f"{question.device} did not answer {question.text} within {duration_s:g} s. The call was given up. Check that"
        " its server is running, reachable and not held up by its hardware.",
    )


def nonsense(question: DeviceCall, reason: str) -> DeviceMisbehaved:
    """Say that an answer makes no sense; `reason` is a clause."""
    return DeviceMisbehaved(
        question.device,
        f"The answer of {question.device} to {question.text} makes no sense: {reason}. Check that an Alpaca server"
        " runs there, and look into its log.",
    )


def refusal(question: DeviceCall, number: int, text: str) -> DeviceRefused:
    """Make the error for a refused request; `number` is the Alpaca error number or the HTTP status."""
    kind = _REFUSALS.get(number, DeviceRefused)
    code = f"HTTP status {number}" if 100 <= number < 600 else f"Alpaca error 0x{number:X}"
    words = f'"{text}"' if text else "no reason given"
    message = f"{question.device} refused {question.text}: {words} ({code}). {_ADVICE[kind]}"
    return kind(question.device, message, number=number, device_message=text)


def value_of_reply(question: DeviceCall, status: int, body: bytes, *, needs_value: bool) -> object:
    """Return the Value of a reply, `None` for one without.

    Tolerates replies without `ErrorNumber`, which several servers send when all is well.

    Raises:
        DeviceRefused: The device or its server refused the request.
        DeviceMisbehaved: The reply is no Alpaca reply.
    """
    reply = _json_object(body)
    if not 200 <= status < 300:
        text = _quote(body) if reply is None else str(reply.get("ErrorMessage") or _quote(body))
        raise refusal(question, _error_number(question, reply or {}) or status, text)
    if reply is None:
        raise nonsense(question, f"it is not a JSON object but {_quote(body)!r}")
    number = _error_number(question, reply)
    if number == 0 and needs_value and "Value" not in reply and reply.get("ErrorMessage"):
        number = ErrorNumber.UNSPECIFIED
    if number:
        raise refusal(question, number, str(reply.get("ErrorMessage") or ""))
    if needs_value and reply.get("Value") is None:
        raise nonsense(question, "it has no Value")
    return reply.get("Value")


def _json_object(body: bytes) -> Mapping[str, object] | None:
    try:
        reply = json.loads(body)
    except (ValueError, RecursionError):  # not JSON, not even text, or nested without end
        return None
    return reply if isinstance(reply, dict) else None


def _error_number(question: DeviceCall, reply: Mapping[str, object]) -> int:
    try:
        return as_int(reply.get("ErrorNumber") or 0)
    except ValueError as error:
        raise nonsense(question, f"its ErrorNumber is {reply.get('ErrorNumber')!r}") from error


def _quote(body: bytes) -> str:
    text = " ".join(body[: 2 * _LONGEST_QUOTE].decode(errors="replace").split())
    return text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}..."


def as_int(value: object) -> int:
    """Take a whole number, also one written as a float or as text.

    Raises:
        WrongValue: It is none.
    """
    number = as_float(value)
    if not math.isfinite(number) or number != round(number):
        raise WrongValue(f"{value!r} is not a whole number")
    return int(value) if isinstance(value, int) else round(number)


def as_float(value: object) -> float:
    """Take a number, also one written as text; NaN and infinities are numbers.

    Raises:
        WrongValue: It is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise WrongValue(f"{value!r} is not a number")
    try:
        return float(value)
    except (ValueError, OverflowError) as error:
        raise WrongValue(f"{value!r} is not a number") from error


def as_bool(value: object) -> bool:
    """Take a truth value, also one written as text or as 0 and 1.

    Raises:
        WrongValue: It is none.
    """
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in {"true", "1"}:
        return True
    if word in {"false", "0"}:
        return False
    raise WrongValue(f"{value!r} is neither true nor false")


def as_text(value: object) -> str:
    """Take text.

    Raises:
        WrongValue: It is none.
    """
    if not isinstance(value, str):
        raise WrongValue(f"{value!r} is not text")
    return value


def as_texts(value: object) -> tuple[str, ...]:
    """Take a list of texts.

    Raises:
        WrongValue: It is none.
    """
    return tuple(as_text(item) for item in _as_list(value))


def as_signed_ints(value: object) -> tuple[int, ...]:
    """Take a list of 32 bit numbers; negative ones that were sent as unsigned (4294967293 for -3) are put right.

    Raises:
        WrongValue: It is none.
    """
    return tuple(number - 2**32 if number >= 2**31 else number for number in map(as_int, _as_list(value)))


def _as_list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise WrongValue(f"{value!r} is not a list")
    return value
