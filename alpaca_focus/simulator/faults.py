"""Faults on demand: a book of what is wrong just now, read by the interceptor and by the devices.

A fault lasts until it is cleared, for a number of occurrences, or for a time in simulated seconds.
"""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from alpaca_focus.alpaca.standard import DeviceType

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
        "focuser-stall": "The focuser stops at the share `value` of its way and says it is still moving.",
        "focuser-short": "The focuser stops `value` steps before its target and says it is done.",
        "is-moving-stuck": "The focuser never says that it has stopped.",
        "temperature-nan": "The focuser's sensor shows NaN.",
        "temperature-frozen": "The focuser's sensor shows the same value for ever.",
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


class FaultRequest(BaseModel):
    """A fault as somebody asks for it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: str = Field(description="One of the kinds.")
    device: DeviceType | None = Field(
        None, description='Device type it concerns, for example "camera"; left out: every one.'
    )
    members: tuple[str, ...] = Field((), description="Members it concerns; none: every one.")
    value: float | None = Field(None, description="What the kind says; left out: its usual value.")
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
    """A fault that is on."""

    number: int
    request: FaultRequest
    began_s: float
    seen: int = field(default=0)

    @property
    def value(self) -> float:
        """The value asked for, or the kind's usual one."""
        return DEFAULT_VALUES.get(self.request.kind, 0.0) if self.request.value is None else self.request.value

    def is_over(self, now_s: float) -> bool:
        """Tell whether it has ended by itself."""
        request = self.request
        worn_out = request.times is not None and self.seen >= request.times
        return worn_out or (request.duration_s is not None and now_s >= self.began_s + request.duration_s)

    def concerns(self, kind: str, device: str, member: str) -> bool:
        """Tell whether it strikes a member of a device."""
        request = self.request
        return (
            request.kind == kind
            and (request.device is None or not device or request.device == device)
            and (not request.members or not member or member in request.members)
        )


class FaultBook:
    """The faults that are on.

    Args:
        now_s: Simulated seconds.

    Attributes:
        listeners: Called with every fault that is switched on, for those that must act at once.
    """

    def __init__(self, now_s: Callable[[], float]) -> None:
        self.listeners: list[Callable[[FaultRequest], None]] = []
        self._now_s = now_s
        self._numbers = itertools.count(1)
        self._faults: dict[int, Fault] = {}

    def add(self, request: FaultRequest) -> int:
        """Switch a fault on and return its number."""
        number = next(self._numbers)
        self._faults[number] = Fault(number, request, self._now_s())
        for listener in self.listeners:
            listener(request)
        return number

    def clear(self, number: int | None = None) -> None:
        """Switch one fault off, or all of them."""
        if number is None:
            self._faults.clear()
        else:
            self._faults.pop(number, None)

    def listing(self) -> list[dict[str, Any]]:
        """Return the faults that are on."""
        return [
            {"number": fault.number, "seen": fault.seen, **fault.request.model_dump(mode="json")}
            for fault in self._present()
        ]

    def take(self, kind: str, device: str = "", member: str = "") -> Fault | None:
        """Return the fault of a kind that strikes now, and count the occurrence; `None` when there is none."""
        fault = self.peek(kind, device, member)
        if fault is not None:
            fault.seen += 1
        return fault

    def peek(self, kind: str, device: str = "", member: str = "") -> Fault | None:
        """Return the fault of a kind that would strike now, without counting."""
        return next((fault for fault in self._present() if fault.concerns(kind, device, member)), None)

    def is_on(self, number: int) -> bool:
        """Tell whether what a fault has struck is still held by it: until it is cleared or its time is over.

        A fault with no occurrences left strikes nothing new, and holds what it struck.
        """
        fault = self._faults.get(number)
        if fault is None:
            return False
        request = fault.request
        return request.duration_s is None or self._now_s() < fault.began_s + request.duration_s

    def take_clouds(self) -> float:
        """Return the share of starlight that clouds let through in the next frame."""
        fault = self.take("clouds")
        return 1.0 if fault is None else min(max(fault.value, 0.0), 1.0)

    def take_trail(self) -> bool:
        """Tell whether a satellite crosses the next frame."""
        return self.take("trail") is not None

    def take_seeing_factor(self) -> float:
        """Return by how much the seeing of the next frame is larger."""
        fault = self.take("seeing-jump")
        return 1.0 if fault is None else fault.value

    def _present(self) -> list[Fault]:
        now_s = self._now_s()
        # A copy first, because tests switch faults on from threads of their own.
        return [fault for fault in tuple(self._faults.values()) if not fault.is_over(now_s)]
