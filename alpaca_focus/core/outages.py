"""Words for devices that do not answer: those of one server are one failure, and the state of the focus comes first."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from alpaca_focus.core.status import REQUIRED, WATCHING, PolledDevice, Status

OUT_OF_FOCUS = "Focuser out of focus"
NOT_KEPT = "Focus is not kept"
UNVERIFIED = "Focus unverified"
_UNKNOWN = {
    "safety_monitor": "Safety unknown",
    "thermometer": "Temperature unknown",
    "filter_wheel": "Filter unknown",
}
"""What the silence of a device means that a refocus does not need; the most important first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """Devices of one server that do not answer, or one device without a server.

    Attributes:
        is_whole: Whether no device of the server answers.
    """

    devices: tuple[PolledDevice, ...]
    is_whole: bool = False

    @property
    def about(self) -> str:
        """The server, or the device without one."""
        return self.devices[0].server or self.devices[0].name

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of the devices."""
        return frozenset(each.kind for each in self.devices)

    @property
    def names(self) -> frozenset[str]:
        """The names of the devices."""
        return frozenset(each.name for each in self.devices)

    @property
    def state(self) -> str:
        """What it means, as a clause: that focus is not kept, or what is not known."""
        if self.kinds & REQUIRED:
            return NOT_KEPT
        return next(state for kind, state in _UNKNOWN.items() if kind in self.kinds)

    @property
    def cause(self) -> str:
        """Which devices do not answer, as a clause."""
        if len(self.devices) == 1:
            return f"{self.devices[0].name} does not answer"
        return f"no device of {self._server} answers" if self.is_whole else f"{self._several} do not answer"

    def stopped(self, when: str) -> str:
        """Return that the devices stopped answering at some time, as a clause."""
        return f"{self._all} stopped answering {when}"

    def answers_again(self) -> str:
        """Return that the devices answer again, as a clause."""
        return f"{self._all} answer{'s' if len(self.devices) == 1 else ''} again"

    @property
    def _server(self) -> str:
        return f"Alpaca server {self.about}"

    @property
    def _several(self) -> str:
        *most, last = (each.kind.replace("_", " ") for each in self.devices)
        return f"{', '.join(most)} and {last} of {self._server}"

    @property
    def _all(self) -> str:
        if len(self.devices) == 1:
            return self.devices[0].name
        return f"all devices of {self._server}" if self.is_whole else self._several


def outages_of(devices: Iterable[PolledDevice]) -> tuple[Outage, ...]:
    """Return the outages among the devices: one for each server, and for each device without a server."""
    by_place: dict[str, list[PolledDevice]] = {}
    for each in devices:
        by_place.setdefault(each.server or each.name, []).append(each)
    silent = {place: tuple(each for each in some if not each.answers) for place, some in by_place.items()}
    return tuple(
        Outage(devices=some, is_whole=len(some) == len(by_place[place])) for place, some in silent.items() if some
    )


def headline(status: Status, position_problem: str) -> str:
    """Return what is wrong, the state first, as a sentence without its full stop; empty: nothing is.

    `position_problem` is why the focuser's position needs a refocus, as a clause; empty: it needs none.
    """
    if status.state != WATCHING:
        return ""
    outages = outages_of(status.devices)
    causes = "; ".join(each.cause for each in outages)
    if position_problem and not outages:
        return f"{UNVERIFIED}: {position_problem}"
    if status.expected_position is not None and not position_problem:
        here = causes or f"it is at {status.position}"
        return f"{OUT_OF_FOCUS}: {here}; it belongs at {status.expected_position}"
    for state in dict.fromkeys((NOT_KEPT, *_UNKNOWN.values())):
        if any(each.state == state for each in outages):
            return f"{state}: {causes}"
    return ""


def sentences(text: str) -> Sequence[str]:
    """Return the sentences of a message."""
    return re.split(r"(?<=[.?!])\s+(?=[A-Z])", text.strip())


def capitalised(clause: str) -> str:
    """Return a clause with a capital letter at its beginning."""
    return clause[:1].upper() + clause[1:]
