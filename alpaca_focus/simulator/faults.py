"""Faults on demand, applied by the interceptor and by the devices.

A fault lasts until it is cleared, for a number of occurrences, or for a time in simulated seconds.
"""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from pydantic import Field, field_validator

from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.simulator.settings import StrictModel

KINDS: Mapping[str, str] = MappingProxyType(
    {
        "no-answer": "The device does not answer any more.",
        "slow": "The device answers `value` real seconds late.",
        "garbage": "The device answers with text that is not JSON.",
        "http-500": "The device answers with HTTP status 500.",
        "cut-image": "The connection is dropped after the share `value` of an image.",
        "stall-image": "An image stops after the share `value` of it, with the connection left open.",
        "power-off": "The device has no power: its server refuses every member, and it is not connected afterwards.",
        "refuse-connect": "The device refuses to connect to its hardware.",
        "focuser-stall": "The focuser stops after the share `value` of its move and still reports motion.",
        "focuser-short": "The focuser stops `value` steps before its target and reports the end of the move.",
        "is-moving-stuck": "The focuser reports motion for ever.",
        "temperature-nan": "The focuser's sensor reports NaN.",
        "temperature-frozen": "The focuser's sensor repeats the same value.",
        "camera-error": "The exposure ends in the camera's error state.",
        "clouds": "Clouds let the share `value` of starlight through.",
        "trail": "A satellite crosses the frame.",
        "seeing-jump": "The seeing of the frame is `value` times as large.",
    }
)
DEFAULT_VALUES: Mapping[str, float] = MappingProxyType(
    {
        "slow": 2.0,
        "cut-image": 0.5,
        "stall-image": 0.5,
        "focuser-stall": 0.5,
        "focuser-short": 50.0,
        "clouds": 0.0,
        "seeing-jump": 1.35,
    }
)


class FaultRequest(StrictModel):
    """A request for a fault."""

    kind: str = Field(description="Kind of fault.")
    device: DeviceType | None = Field(None, description='Device type affected, for example "camera"; left out: all.')
    members: tuple[str, ...] = Field((), description="Members affected; none: all.")
    value: float | None = Field(None, description="Value as the kind defines it; left out: the default of the kind.")
    times: int | None = Field(None, ge=1, description="Occurrences after which it ends; left out: no end.")
    duration_s: float | None = Field(None, gt=0, description="Simulated seconds after which it ends; left out: none.")

    @field_validator("kind")
    @classmethod
    def _check_kind(cls, kind: str) -> str:
        if kind not in KINDS:
            raise ValueError(f"There is no fault {kind!r}. There are: {', '.join(KINDS)}.")
        return kind

    @field_validator("members")
    @classmethod
    def _lower_members(cls, members: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(member.lower() for member in members)


@dataclass(slots=True)
class Fault:
    """An active fault."""

    number: int
    request: FaultRequest
    began_s: float
    seen: int = 0

    @property
    def value(self) -> float:
        """The requested value, or the default of the kind."""
        return DEFAULT_VALUES.get(self.request.kind, 0.0) if self.request.value is None else self.request.value

    def has_expired(self, now_s: float) -> bool:
        """Return whether the fault's time is over."""
        duration_s = self.request.duration_s
        return duration_s is not None and now_s >= self.began_s + duration_s

    def affects(self, kind: str, device: str, member: str) -> bool:
        """Return whether this is a fault of a kind that affects a member of a device."""
        request = self.request
        return (
            request.kind == kind
            and (request.device is None or not device or request.device == device)
            and (not request.members or not member or member in request.members)
        )


class FaultBook:
    """The active faults; `now_s` returns simulated seconds."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._numbers = itertools.count(1)
        self._faults: dict[int, Fault] = {}

    def add(self, request: FaultRequest) -> int:
        """Switch a fault on and return its number."""
        number = next(self._numbers)
        self._faults[number] = Fault(number, request, self._now_s())
        return number

    def clear(self, number: int | None = None) -> None:
        """Switch one fault off, or all of them."""
        if number is None:
            self._faults.clear()
        else:
            self._faults.pop(number, None)

    def listing(self) -> list[dict[str, Any]]:
        """Return the active faults as JSON objects."""
        return [
            {"number": fault.number, "seen": fault.seen, **fault.request.model_dump(mode="json")}
            for fault in self._present()
        ]

    def take(self, kind: str, device: str = "", member: str = "") -> Fault | None:
        """Return the active fault of a kind, if any, and count the occurrence."""
        fault = self.peek(kind, device, member)
        if fault is not None:
            fault.seen += 1
        return fault

    def peek(self, kind: str, device: str = "", member: str = "") -> Fault | None:
        """Return the active fault of a kind, if any, without counting."""
        return next((fault for fault in self._present() if fault.affects(kind, device, member)), None)

    def is_on(self, number: int) -> bool:
        """Return whether a fault still holds what it struck: until it is cleared or its time is over.

        A fault with no occurrences left strikes nothing new but holds what it struck.
        """
        fault = self._faults.get(number)
        return fault is not None and not fault.has_expired(self._now_s())

    def _present(self) -> list[Fault]:
        now_s = self._now_s()
        # A copy first, because tests switch faults on from threads of their own.
        return [
            fault
            for fault in tuple(self._faults.values())
            if (fault.request.times is None or fault.seen < fault.request.times) and not fault.has_expired(now_s)
        ]
