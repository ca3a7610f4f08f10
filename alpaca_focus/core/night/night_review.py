"""Reviews a night by its runs and light frames: the share in focus, what is not known, and advice."""

import math
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from types import MappingProxyType

from alpaca_focus.core.curves.calibration import Estimate
from alpaca_focus.core.night.notices import Kind
from alpaca_focus.core.outages import sentences
from alpaca_focus.core.values import FocusResult, Light, Outcome, SavedNotice, SavedRun

REFERENCE_FRAMES = 3
"""Frames after a refocus whose median is the size of stars in focus."""
LEAST_FRAMES = 5
FEW_MOVES = 4
"""Fewest refocuses that can be called too many."""
LITTLE_MOVE = 1 / 6
"""Share of the critical focus zone: smaller moves show that a refocus was hardly needed."""
GOOD_SHARE = 0.8
MANY_WAITS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewedNight:
    """The record of one night.

    Attributes:
        date: Of its evening.
        runs: The oldest first.
        lights: Light frames, the oldest first.
        notices: Sent or not, the oldest first.
        ignored: How often a due refocus had to wait, by reason.
        zone_steps: The critical focus zone; `None`: the travel of one step is not set.
        tolerance: Largest growth of stars that count as in focus, as a share.
        learned: Steps for each degree, learned from the whole history; `None`: not known.
        set_steps_per_c: The same by the settings.
        compensates: Whether temperature compensation is enabled.
    """

    telescope: str
    date: date
    runs: tuple[SavedRun, ...] = ()
    lights: tuple[Light, ...] = ()
    notices: tuple[SavedNotice, ...] = ()
    ignored: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    zone_steps: float | None = None
    tolerance: float = 0.1
    learned: Estimate | None = None
    set_steps_per_c: float | None = None
    compensates: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """The good part of all that can be judged, and the rest, which cannot."""

    good: float
    whole: float
    left_out: float = 0.0

    @property
    def share(self) -> float | None:
        """The share; `None`: nothing can be judged."""
        return self.good / self.whole if self.whole > 0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """From a good refocus to the next one, through the same filter.

    Attributes:
        number: Of the run that it ends with.
        away_steps: Distance from best focus at the start of that run.
        moved_steps: Change of best focus since the first refocus.
    """

    number: int
    lasted_s: float
    away_steps: float
    moved_steps: float


def night_of(at: datetime, east: timedelta) -> date:
    """Return the date of the evening of the night that a time belongs to: a night lasts from noon to noon.

    `east` is the offset of the local or solar time from UTC.
    """
    return (at.astimezone(UTC) + east - timedelta(hours=12)).date()


def bounds_of(night: date, east: timedelta) -> tuple[datetime, datetime]:
    """Return the noons that a night lies between, UTC."""
    noon = datetime.combine(night, time(12), UTC) - east
    return noon, noon + timedelta(days=1)


def by_stars(night: ReviewedNight) -> Share:
    """Return how many light frames had stars about as small as those right after the last refocus before.

    Seeing cannot be distinguished from defocus, so this is a lower limit.
    """
    groups: dict[tuple[int, str | None], list[float]] = {}
    left_out = 0
    for light in night.lights:
        before = [run for run in night.runs if run.is_good and run.ended_at <= light.ended_at]
        if before:
            groups.setdefault((before[-1].number, light.filter_name), []).append(light.hfd_px)
        else:
            left_out += 1
    good = whole = 0
    for sizes in groups.values():
        if len(sizes) < LEAST_FRAMES:
            left_out += len(sizes)
            continue
        limit = (1 + night.tolerance) * statistics.median(sizes[:REFERENCE_FRAMES])
        good += sum(size <= limit for size in sizes)
        whole += len(sizes)
    return Share(good=good, whole=whole, left_out=left_out)


def intervals(night: ReviewedNight) -> Iterator[Interval]:
    """Yield the times between two good refocuses through one filter, in which focus drifted by a known amount."""
    for before, after in pairwise(run for run in night.runs if run.is_good):
        first, second = before.result, after.result
        if first.filter_name != second.filter_name or second.fit is None or first.final_position is None:
            continue
        yield Interval(
            number=after.number,
            lasted_s=max((second.started_at - before.ended_at).total_seconds(), 0.0),
            away_steps=second.start_position - second.fit.best_position,
            moved_steps=second.fit.best_position - first.final_position,
        )


def by_curves(night: ReviewedNight) -> Share | None:
    """Return for how many seconds the telescope was within the zone; `None`: the zone is not known.

    Focus is assumed to drift at a constant rate between two refocuses.
    """
    if night.zone_steps is None:
        return None
    good = whole = 0.0
    for each in intervals(night):
        whole += each.lasted_s
        good += each.lasted_s * min(1.0, night.zone_steps / 2 / max(abs(each.away_steps), 1e-9))
    return Share(good=good, whole=whole)


def not_known(night: ReviewedNight) -> tuple[str, ...]:
    """Return what the report cannot show, each with the reason."""
    stars, sentences = by_stars(night), []
    if not night.lights:
        sentences.append(
            "Size of the stars on the light frames: none was measured. Use the gateway, imaging.folder or "
            "`alpaca-focus exposure end --hfd`."
        )
    elif stars.share is None:
        sentences.append(
            f"Number of light frames in focus: fewer than {LEAST_FRAMES} were taken after any one refocus."
        )
    elif stars.left_out:
        sentences.append(
            f"Whether {stars.left_out:.0f} of the light frames were in focus: they precede the first refocus, or "
            f"are fewer than {LEAST_FRAMES} through one filter after a refocus."
        )
    if stars.share is not None:
        sentences.append("Effect of the seeing: stars that it enlarges count as out of focus here.")
    if night.zone_steps is None:
        sentences.append(
            "Time within the critical focus zone: focuser.step_size_um, the travel of one step, is not set."
        )
    elif not any(True for _ in intervals(night)):
        sentences.append("Time within the critical focus zone: it takes two good refocuses through one filter.")
    if night.learned is None:
        sentences.append("Movement of focus with temperature: the history has too few good runs over too few degrees.")
    return tuple(sentences)


def troubles(night: ReviewedNight) -> tuple[str, ...]:
    """Return what went wrong: stranding, failed runs, and what else people got notices about, each as sentences."""
    failed = [run for run in night.runs if run.result.outcome is not Outcome.FOCUSED]
    stranded = [run.number for run in failed if run.result.outcome is Outcome.STRANDED]
    found = [f"{_runs(stranded)} left the focuser stranded."] if stranded else []
    if failed:
        found.append(f"{_runs([run.number for run in failed])} of {len(night.runs)} failed.")
    reasons = [run.result.reason for run in failed]
    for each in night.notices:
        # Those about the runs above are counted there.
        is_of_run = any(reason.startswith(sentences(each.text)[0]) for reason in reasons)
        if each.kind != Kind.NIGHT_REPORT and not is_of_run:
            found.append(f"{each.at:%H:%M} {each.title}. {each.text}")
    return tuple(found)


def advice(night: ReviewedNight) -> tuple[str, ...]:
    """Return what could be better, each with the numbers that show it."""
    return (*_of_temperature(night), *_of_number(night), *_of_runs(night), *_of_waits(night))


def _of_temperature(night: ReviewedNight) -> Iterator[str]:
    learned, is_set = night.learned, night.set_steps_per_c
    if learned is None:
        return
    proposed = f"{learned.value:+.2f} \u00b1 {learned.stderr:.2f} steps a degree, from {learned.count} runs"
    if is_set is not None and abs(learned.value - is_set) > 2 * learned.stderr:
        yield (
            f"focuser.temperature_coefficient_steps_per_c is {is_set:+.2f}, but the history shows {proposed}: set that."
        )
    elif is_set is None and not learned.is_zero:
        yield f"Focus moves with temperature: set focuser.temperature_coefficient_steps_per_c to {proposed}."
    if not learned.is_zero and not night.compensates:
        yield "The focuser does not follow the temperature between refocuses: set compensation.enabled: true."


def _of_number(night: ReviewedNight) -> Iterator[str]:
    some, share = list(intervals(night)), by_curves(night)
    if not some or night.zone_steps is None:
        return
    moved = statistics.median(abs(each.moved_steps) for each in some)
    if len(some) >= FEW_MOVES and moved < LITTLE_MOVE * night.zone_steps:
        (reason, count), *_ = Counter(run.trigger for run in night.runs).most_common(1)
        yield (
            f"The refocuses moved the focuser by a median of {moved:.0f} steps (critical focus zone: "
            f'{night.zone_steps:.0f} steps): fewer would do. The most frequent trigger is "{reason}" ({count}).'
        )
    elif share is not None and share.share is not None and share.share < GOOD_SHARE:
        away = max(some, key=lambda each: abs(each.away_steps))
        yield (
            f"Refocuses came late: run {away.number} began {abs(away.away_steps):.0f} steps from focus (half of the "
            f"critical focus zone: {night.zone_steps / 2:.0f} steps). Let the triggers act sooner."
        )


def _of_runs(night: ReviewedNight) -> Iterator[str]:
    doubtful = [run.number for run in night.runs if run.result.doubtful]
    if doubtful:
        yield (
            f"{_runs(doubtful)} missed focus at first and reached it with far more overshoot: the backlash setting may "
            "be too small. Measure it with `alpaca-focus calibrate backlash`."
        )


def _of_waits(night: ReviewedNight) -> Iterator[str]:
    for reason, count in Counter(dict(night.ignored)).most_common(1):
        if count >= MANY_WAITS:
            yield f'A due refocus had to wait {count} times, with the reason "{reason}": try to avoid that.'


def _runs(numbers: Sequence[int]) -> str:
    *most, last = map(str, numbers)
    return f"Runs {', '.join(most)} and {last}" if most else f"Run {last}"


def temperature_of(result: FocusResult, sensor: str) -> float:
    """Return the temperature of a sensor during a run, else the one the run was saved with; NaN: not known."""
    temperature_c = result.temperatures_c.get(sensor, result.temperature_c)
    return math.nan if temperature_c is None else temperature_c
