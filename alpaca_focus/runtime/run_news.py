"""The focus run under way, or the last one, in plain numbers for whoever draws it; and a tally of all of them."""

import asyncio
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType

import numpy as np

from alpaca_focus.core.curve_models import curve_value
from alpaca_focus.core.events import CurveFitted, Event, FrameMeasured, Moved, RunEnded, RunStarted
from alpaca_focus.core.values import Fit, FocusResult, Position, Sample

CURVE_POINTS = 60
NOT_BEGUN: Mapping[str, object] = MappingProxyType(
    {
        "active": False,
        "number": None,
        "trigger": "",
        "started_at": None,
        "start_position": None,
        "position": None,
        "unit": "",
        "metric": "",
        "samples": [],
        "fit": None,
        "final_position": None,
        "outcome": "",
        "reason": "",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What has become of the runs since the program was started.

    Attributes:
        outcomes: How many runs ended so, by outcome.
        exposures: Of all of them.
        duration_s: Of all of them.
    """

    outcomes: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    exposures: int = 0
    duration_s: float = 0.0

    def one_more(self, outcome: str, *, exposures: int = 0, duration_s: float = 0.0) -> "Tally":
        """Return the tally with one run more."""
        outcomes = {**self.outcomes, outcome: self.outcomes.get(outcome, 0) + 1}
        return replace(
            self,
            outcomes=MappingProxyType(outcomes),
            exposures=self.exposures + exposures,
            duration_s=self.duration_s + duration_s,
        )


class RunNews:
    """Follows the focus runs.

    Args:
        publish: Told what the run looks like now, whenever it changes.
        wall: Returns the time, UTC.

    Attributes:
        tally: What has become of the runs; may be read in any thread.
    """

    def __init__(self, publish: Callable[[Mapping[str, object]], None], wall: Callable[[], datetime]) -> None:
        self._publish = publish
        self._wall = wall
        self._now: dict[str, object] = dict(NOT_BEGUN)
        self._samples: list[dict[str, object]] = []
        self._positions: list[Position] = []
        self._number: int | None = None
        self.tally = Tally()

    @contextmanager
    def of_run(self, trigger: str, *, number: int | None = None) -> Iterator[None]:
        """Follow one run; what it raises goes on.

        Args:
            trigger: Why.
            number: That it will have in the history once it has begun; `None`: not known.
        """
        self._samples, self._positions, self._number = [], [], number
        self._now = {**NOT_BEGUN, "active": True, "trigger": trigger, "started_at": self._wall().isoformat()}
        self._tell()
        try:
            yield
        except asyncio.CancelledError:
            self._broken_off("aborted", "The run was aborted before it had begun; nothing was moved.")
            raise
        except Exception as error:
            self._broken_off("failed", str(error))
            raise

    def take(self, event: Event) -> None:
        """Take note of something that happened in the run."""
        match event:
            case RunStarted(start_position=position):
                self._now |= {"number": self._number, "start_position": position, "position": position}
            case Moved(position=position):
                self._now["position"] = position
            case FrameMeasured(sample=sample):
                self._samples.append(told_sample(sample))
                self._positions.append(sample.position)
                self._now |= {"unit": sample.measurement.unit, "metric": sample.measurement.metric}
            case CurveFitted(fit=fit):
                self._now["fit"] = told_fit(fit, self._positions)
            case RunEnded(result=result):
                self._end(result)
            case _:
                pass
        self._tell()

    def kept(self, number: int | None) -> None:
        """Take note of the number that the run really has in the history; `None`: it is not there."""
        if number != self._now["number"]:
            self._now["number"] = number
            self._tell()

    def _end(self, result: FocusResult) -> None:
        self.tally = self.tally.one_more(result.outcome.value, exposures=result.exposures, duration_s=result.duration_s)
        self._samples = [told_sample(sample) for sample in all_samples(result)]
        self._now |= {
            "active": False,
            "position": result.final_position,
            "final_position": result.final_position,
            "outcome": result.outcome.value,
            "reason": result.reason,
        }

    def _broken_off(self, outcome: str, reason: str) -> None:
        if not self._now["active"]:
            # It had ended before.
            return
        self.tally = self.tally.one_more(outcome)
        self._now |= {"active": False, "outcome": outcome, "reason": reason}
        self._tell()

    def _tell(self) -> None:
        self._publish({**self._now, "samples": list(self._samples)})


def told_run(result: FocusResult, *, number: int, trigger: str) -> dict[str, object]:
    """Return a run of the history in the form of the one under way."""
    first = result.samples[0].measurement if result.samples else None
    return {
        "active": False,
        "number": number,
        "trigger": trigger,
        "started_at": result.started_at.isoformat(),
        "start_position": result.start_position,
        "position": result.final_position,
        "unit": "" if first is None else first.unit,
        "metric": "" if first is None else first.metric,
        "samples": [told_sample(sample) for sample in all_samples(result)],
        "fit": None if result.fit is None else told_fit(result.fit, [sample.position for sample in result.samples]),
        "final_position": result.final_position,
        "outcome": result.outcome.value,
        "reason": result.reason,
    }


def all_samples(result: FocusResult) -> tuple[Sample, ...]:
    """Return all frames of a run, the verifying one included."""
    verification = result.verification
    if verification is None or any(each is verification or each == verification for each in result.samples):
        return result.samples
    return (*result.samples, verification)


def told_sample(sample: Sample) -> dict[str, object]:
    """Return a point of a V-curve as JSON has it."""
    measured = sample.measurement
    return {
        "position": sample.position,
        "value": finite(measured.value),
        "stderr": finite(measured.stderr),
        "purpose": sample.purpose,
        "usable": measured.usable,
        "reason": measured.reason,
        "stars": measured.star_count,
    }


def told_fit(fit: Fit, positions: list[Position]) -> dict[str, object]:
    """Return a fit as JSON has it, with its curve over the positions."""
    ends = [*positions, fit.best_position]
    line = np.linspace(min(ends), max(ends), CURVE_POINTS)
    return {
        "model": fit.model,
        "best_position": fit.best_position,
        "stderr_steps": finite(fit.best_position_stderr),
        "best_value": finite(fit.best_value),
        "curve": [[float(position), finite(curve_value(float(position), fit))] for position in line],
    }


def finite(value: float | None) -> float | None:
    """Return a number that JSON knows; `None` for the others."""
    return value if value is not None and math.isfinite(value) else None
