"""Why a refocus that is due has to wait."""

from dataclasses import dataclass

from alpaca_focus.core.night import NO_LIGHTS, History, Snapshot

EXPOSING = "exposure running"
NO_GAP = "no gap in the imaging yet"
SOMEBODY_MOVES = "the imaging program moves the focuser"
HELD = "waiting after a failed run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Which circumstances keep a refocus waiting.

    Attributes:
        sun_altitude_deg: With the sun above it, it is not night; `None`: the sun is not looked at.
    """

    sun_altitude_deg: float | None = -18.0


def inhibitors(history: History, snapshot: Snapshot, rules: Rules, *, paused: bool) -> tuple[str, ...]:
    """Return all reasons why nothing may be done just now, as clauses; empty: go ahead."""
    sun_deg = snapshot.sun_altitude_deg
    is_day = rules.sun_altitude_deg is not None and sun_deg is not None and sun_deg > rules.sun_altitude_deg
    reasons = {
        **{f"no answer from {name}": True for name in snapshot.silent},
        "paused": paused,
        "not safe": snapshot.safe is False,
        "mount parked": snapshot.parked is True,
        "mount not tracking": snapshot.parked is not True and snapshot.tracking is False,
        "mount slewing": snapshot.slewing is True,
        "not night": is_day,
        f"the plan takes {snapshot.plan} frames": snapshot.plan in NO_LIGHTS,
        HELD: history.hold_s > 0 and not history.asap,
        SOMEBODY_MOVES: snapshot.somebody_moves,
        EXPOSING: snapshot.exposing,
        NO_GAP: not snapshot.exposing and not snapshot.camera_free,
    }
    return tuple(reason for reason, holds in reasons.items() if holds)
