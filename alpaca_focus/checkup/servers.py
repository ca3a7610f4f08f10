"""An Alpaca server: whether it answers, how fast, and what it says of itself. Pure."""

import statistics
from dataclasses import dataclass
from enum import Enum

from alpaca_focus.checkup.checks import Check, Subject

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
    """What was seen of a server.

    Attributes:
        place: Host and port.
        reach: How far the first question came.
        detail: What the operating system says, where there was no answer.
        within_s: How long an answer was waited for.
        round_trips_s: Times of the small questions that were answered.
        lost: How many were not.
        versions: Of the API, as its management tells; `None`: it has none.
        description: Name and maker, as its management tells.
        devices: Its devices in words; empty: it does not say.
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


def judge_server(facts: ServerFacts) -> tuple[Check, ...]:
    """Judge a server."""
    subject = Subject(f"server {facts.place}")
    if facts.reach is not Reach.ANSWERS:
        return (_out_of_reach(subject, facts), *(subject.not_tried(name, "it does not answer") for name in _FURTHER))
    return (
        subject.ok("reachable", facts.description or "it answers, and does not say what it is"),
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
                "Look whether that computer is on, the address right, and no firewall in between; or whether its "
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
                "Look at the network cable or the WLAN of this computer, and at the address in the settings.",
            )


def _latency(subject: Subject, facts: ServerFacts) -> Check:
    if not facts.round_trips_s:
        return subject.fails(
            "latency",
            f"it answered once, and then not within {facts.within_s:g} s",
            "Look whether its server hangs, or takes one connection at a time.",
        )
    median_s, largest_s = statistics.median(facts.round_trips_s), max(facts.round_trips_s)
    seen = f"{_ms(median_s)} a question, {_ms(largest_s)} at most, of {len(facts.round_trips_s)}"
    if facts.lost:
        return subject.note(
            "latency",
            f"{seen}; {facts.lost} more had no answer within {facts.within_s:g} s",
            "Look at the network between the two computers; a cable is better than WLAN.",
        )
    if median_s > SLOW_S:
        return subject.note(
            "latency",
            f"{seen}: slow",
            "Look at the load of that computer and at the network; a cable is better than WLAN.",
        )
    return subject.ok("latency", seen)


def _ms(duration_s: float) -> str:
    return f"{1000 * duration_s:.0f} ms" if duration_s >= 0.01 else f"{1000 * duration_s:.1f} ms"


def _management(subject: Subject, facts: ServerFacts) -> Check:
    if facts.versions is None:
        return subject.note(
            "management",
            "it has no management API, so that it does not tell which devices it has",
            "Nothing has to be done: name devices by device_number, not by unique_id.",
        )
    versions = ", ".join(map(str, facts.versions)) or "none"
    if API_VERSION not in facts.versions:
        return subject.fails(
            "management",
            f"it speaks the Alpaca API in the versions {versions}, and this program in version {API_VERSION}",
            "Look for another version of that server.",
        )
    return subject.ok("management", f"API version {versions}; {facts.devices or 'its list of devices makes no sense'}")
