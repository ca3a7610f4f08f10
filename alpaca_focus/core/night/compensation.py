"""Continuous compensation: by how much the focuser follows temperature and altitude between two refocuses."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from alpaca_focus.core.night.save_marks import AtOnce

HOUR_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CompensationSettings:
    """The user's coefficients and limits of the compensation.

    Attributes:
        steps_per_c: Steps for each degree of warming: a positive value moves in when the temperature drops.
        steps_per_c_through: The same for some filters, by name.
        altitude_steps: Steps from pointing overhead to the horizon, in proportion to 1 - sin(altitude): the share of
            the weight that no longer pulls along the tube.
        dead_zone_steps: The smallest correction worth a move.
        most_steps_per_hour: Largest sum of the lengths of the moves in an hour; `None`: no limit.
        most_steps: Largest distance from the position of the last refocus; `None`: no limit.
    """

    steps_per_c: float = 0.0
    steps_per_c_through: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    altitude_steps: float = 0.0
    dead_zone_steps: float = 1.0
    most_steps_per_hour: int | None = None
    most_steps: int | None = None

    def coefficient(self, filter_name: str | None) -> float:
        """Return the steps for each degree through a filter."""
        return self.steps_per_c_through.get(filter_name or "", self.steps_per_c)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compensated:
    """The compensation since the last refocus.

    Attributes:
        at_c: Temperature compensated for so far, like the altitude; `None`: not known.
        wanted_steps: Sum of the wanted corrections, with its fraction.
        moved_steps: Sum of the corrections moved, in whole steps.
        clock_s: Seconds since the last refocus.
        moves: Time in `clock_s`, and steps, of each move of the last hour.
        stopped: Why compensation has stopped, as a sentence; empty: it has not.
    """

    at_c: float | None = None
    at_altitude_deg: float | None = None
    wanted_steps: float = 0.0
    moved_steps: AtOnce[int] = 0
    clock_s: float = 0.0
    moves: tuple[tuple[float, int], ...] = ()
    stopped: AtOnce[str] = ""

    @property
    def carried_steps(self) -> float:
        """Wanted and not moved yet: fractions are carried over, never lost."""
        return self.wanted_steps - self.moved_steps


def followed(
    state: Compensated,
    settings: CompensationSettings,
    *,
    temperature_c: float | None,
    altitude_deg: float | None,
    filter_name: str | None,
    passed_s: float,
) -> Compensated:
    """Return the state with the correction wanted at the present temperature and altitude.

    A temperature or an altitude of `None` keeps the previous one; `passed_s` counts from the previous call.
    """
    clock_s = state.clock_s + max(0.0, passed_s)
    wanted = state.wanted_steps
    if temperature_c is not None and state.at_c is not None:
        wanted += settings.coefficient(filter_name) * (temperature_c - state.at_c)
    if altitude_deg is not None and state.at_altitude_deg is not None:
        wanted += settings.altitude_steps * (_flexure_share(altitude_deg) - _flexure_share(state.at_altitude_deg))
    return replace(
        state,
        at_c=state.at_c if temperature_c is None else temperature_c,
        at_altitude_deg=state.at_altitude_deg if altitude_deg is None else altitude_deg,
        wanted_steps=wanted,
        clock_s=clock_s,
        moves=tuple(each for each in state.moves if each[0] > clock_s - HOUR_S),
    )


def _flexure_share(altitude_deg: float) -> float:
    return 1 - math.sin(math.radians(max(0.0, altitude_deg)))


def correction_steps(state: Compensated, settings: CompensationSettings) -> int:
    """Return the whole steps to move now; 0 within the dead zone, or when compensation has stopped."""
    if state.stopped or abs(state.carried_steps) < settings.dead_zone_steps:
        return 0
    return round(state.carried_steps)


def exceeded_limit(state: Compensated, settings: CompensationSettings, steps: int) -> str:
    """Return which limit a correction would exceed, as a sentence; empty: none."""
    within_hour = sum(abs(moved) for _, moved in state.moves) + abs(steps)
    if settings.most_steps_per_hour is not None and within_hour > settings.most_steps_per_hour:
        return (
            f"Temperature compensation has stopped: {within_hour} steps in one hour exceed "
            f"compensation.most_steps_per_hour ({settings.most_steps_per_hour}). The next refocus starts it again; "
            "check the thermometer and the coefficient."
        )
    away = abs(state.moved_steps + steps)
    if settings.most_steps is not None and away > settings.most_steps:
        return (
            f"Temperature compensation has stopped: {away} steps from the last refocus exceed compensation.most_steps "
            f"({settings.most_steps}). The next refocus starts it again."
        )
    return ""


def moved(state: Compensated, steps: int) -> Compensated:
    """Return the state after a correction move."""
    return replace(state, moved_steps=state.moved_steps + steps, moves=(*state.moves, (state.clock_s, steps)))
