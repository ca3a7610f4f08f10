"""Calibrations: measure the V-curve, backlash, filter offsets and temperature coefficient from several focus runs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from alpaca_focus.core.curves.calibration import Estimate, FocusPosition, backlash_steps, filter_offsets
from alpaca_focus.core.curves.learned_curve import LearnedCurve
from alpaca_focus.core.errors import ConfigurationError, RunFailed
from alpaca_focus.core.night.focus_learning import FEWEST_RUNS, LEAST_RANGE_C, learned_model
from alpaca_focus.core.night.focus_model import FocusModel
from alpaca_focus.core.sweep.backlash import Backlash, Direction
from alpaca_focus.core.values import FocusResult, Outcome
from alpaca_focus.devices.clock import SystemClock
from alpaca_focus.ports import Clock
from alpaca_focus.run.camera_lease import slot_of
from alpaca_focus.run.device_adapters import Devices, devices_alone
from alpaca_focus.run.filter_choice import FilterChoice, current_filter
from alpaca_focus.run.focus_run import RunRequest, ensure_can_focus, run_with_devices, subject
from alpaca_focus.run.sweep_settings import optical_train
from alpaca_focus.settings.models import Settings
from alpaca_focus.settings.yaml_writer import edit_yaml
from alpaca_focus.store.learned_model import BACKLASH, MOST_RUNS, observation, usable_runs
from alpaca_focus.store.run_memory import Memory
from alpaca_focus.store.run_store import RunStore

FOCUSER = "focuser"
"""Name for the single temperature that older runs were saved with."""
GENEROUS_FACTOR, GENEROUS_CFZ = 3, 8
"""The overshoot while measuring backlash, in multiples of the backlash set and of the critical focus zone."""
SIGMAS = 2.0
"""Standard errors added to the backlash estimate: overshooting too far does no harm, too little does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """The result of a calibration.

    Attributes:
        lines: The result in words, with standard errors.
        changes: The proposed settings by dotted name; empty when there is nothing to set.
    """

    lines: tuple[str, ...]
    changes: dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """The dependencies of every calibration that uses devices.

    Attributes:
        report: Called with one line for each run.
    """

    settings: Settings
    report: Callable[[str], None]
    clock: Clock = field(default_factory=SystemClock)


async def vcurve(calibration: Calibration, *, runs: int) -> Proposal:
    """Measure whole V-curves and learn from each, so that later runs need only a pair of frames.

    Raises:
        ConfigurationError: No storage.directory is set, or the settings do not suit the devices.
        RunFailed: A run failed; the focuser is back where that one started.
    """
    directory = calibration.settings.storage.folder
    if directory is None:
        raise ConfigurationError("A learned V-curve needs a folder to be saved in. Set storage.directory.")
    async with devices_alone(calibration.settings, calibration.clock) as devices:
        await ensure_can_focus(devices)
        name = await current_filter(devices)
        for number in range(1, runs + 1):
            request = _request(calibration, name, trigger="calibrate vcurve")
            await _run(calibration, devices, replace(request, whole_curve=True), f"run {number} of {runs}")
        metric = calibration.settings.focus.metric
        train = optical_train(calibration.settings, devices, binning=calibration.settings.focus.through(name).binning)
        with Memory(directory, subject(train, metric)) as memory:
            curve = memory.profile(name)
    if curve is None:
        raise RunFailed(
            "The runs covered too little of the V-curve's arms to learn their slopes. Set focus.points higher."
        )
    return Proposal(lines=_curve_lines(curve, name), changes={})


async def backlash(calibration: Calibration, *, pairs: int) -> Proposal:
    """Measure the focuser's backlash by runs that arrive inward and outward.

    Raises:
        RunFailed: A run failed; the focuser is back where that one started.
    """
    places: dict[Direction, list[FocusPosition]] = {Direction.IN: [], Direction.OUT: []}
    set_steps = calibration.settings.focuser.backlash.steps
    async with devices_alone(calibration.settings, calibration.clock) as devices:
        await ensure_can_focus(devices)
        name = await current_filter(devices)
        train = optical_train(calibration.settings, devices, binning=1)
        generous = max(GENEROUS_FACTOR * set_steps, round(GENEROUS_CFZ * train.critical_focus_zone_steps))
        for number in range(1, pairs + 1):
            for direction in (Direction.IN, Direction.OUT):
                request = replace(
                    _request(calibration, name, trigger=BACKLASH),
                    backlash=Backlash(steps=generous, arrive=direction),
                    whole_curve=True,
                    teaches=False,
                )
                label = f"pair {number} of {pairs}, arriving {direction}ward"
                places[direction].append(_place(await _run(calibration, devices, request, label)))
    estimate = backlash_steps(list(zip(places[Direction.IN], places[Direction.OUT], strict=True)))
    return _backlash_proposal(calibration.settings, estimate)


async def filters(calibration: Calibration, *, runs: int, reference: str | None) -> Proposal:
    """Measure the focus offsets of all filters against a reference.

    Raises:
        ConfigurationError: There is no filter wheel, or no such filter.
        RunFailed: A run failed; the focuser is back where that one started, and the filter wheel at its first filter.
    """
    places = []
    async with devices_alone(calibration.settings, calibration.clock) as devices:
        await ensure_can_focus(devices)
        wheel = devices.filter_wheel
        if wheel is None:
            raise ConfigurationError("There is no filter wheel to calibrate. Set filter_wheel.")
        before = await current_filter(devices)
        base = reference or before or wheel.names[0]
        slot_of(wheel, base)
        others = [name for name in wheel.names if name != base]
        sequence = [base, *([*others, base] * runs)]
        for number, name in enumerate(sequence, start=1):
            request = replace(_request(calibration, name, trigger="calibrate filters"), filter_before=before)
            label = f"run {number} of {len(sequence)}, through {name}"
            places.append(_place(await _run(calibration, devices, request, label)))
    offsets = filter_offsets(places, base)
    lines = [f"Focus offsets against {base}, in steps:"]
    lines += [f"  {name:<10} {each.value:+8.1f} +- {each.stderr:.1f}" for name, each in offsets.items()]
    values = {base: 0} | {name: round(each.value) for name, each in offsets.items()}
    return Proposal(lines=tuple(lines), changes={"filter_wheel.focus_offsets_steps": values})


def temperature(settings: Settings) -> Proposal:
    """Estimate from the history how far focus moves with temperature.

    Raises:
        ConfigurationError: No storage.directory is set.
        StorageError: The history cannot be read.
        RunFailed: The history holds too few runs, or too small a range of temperatures.
    """
    directory = settings.storage.folder
    if directory is None:
        raise ConfigurationError("There is no history to learn from. Set storage.directory.")
    with RunStore(directory, read_only=True) as store:
        runs = store.runs(last=MOST_RUNS)
    good = usable_runs(runs)
    # The setting holds one coefficient, so it is fitted alone, without the altitude and the other sensors.
    alone = learned_model([observation(run, _one_temperature(run.result)) for run in good])
    if alone is None:
        raise RunFailed(
            f"The history has too few good runs to fit the temperature coefficient: {len(good)} in all. It takes at "
            f"least {FEWEST_RUNS} in one night, {LEAST_RANGE_C:g} degrees apart; more with several filters."
        )
    (estimate,) = alone.steps_per_c.values()
    value = f"{estimate.value:+.2f} +- {estimate.stderr:.2f}"
    line = f"Temperature coefficient: {value} steps a degree, from {estimate.count} runs."
    whole = learned_model([observation(run, _all_temperatures(run.result)) for run in good])
    lines = (line, *(_model_lines(whole) if whole is not None else ()))
    if estimate.is_zero:
        return Proposal(
            lines=(*lines, "The coefficient does not differ from zero: there is nothing to set."), changes={}
        )
    return Proposal(lines=lines, changes={"focuser.temperature_coefficient_steps_per_c": round(estimate.value, 2)})


def apply(path: Path, proposal: Proposal) -> None:
    """Write the proposed settings into the settings file.

    Raises:
        ConfigurationError: The file cannot be written; it is unchanged.
    """
    edit_yaml(path, proposal.changes, Settings)


def _request(calibration: Calibration, filter_name: str | None, *, trigger: str) -> RunRequest:
    return RunRequest(
        settings=calibration.settings,
        filter_choice=FilterChoice(filter_name=filter_name, offset_steps=0),
        emit=lambda _: None,
        clock=calibration.clock,
        trigger=trigger,
    )


async def _run(calibration: Calibration, devices: Devices, request: RunRequest, label: str) -> FocusResult:
    result = await run_with_devices(devices, request)
    if result.outcome is not Outcome.FOCUSED or result.fit is None:
        raise RunFailed(f"The calibration failed at {label}: {result.reason}")
    fit = result.fit
    calibration.report(
        f"{label}: best {fit.best_position:.1f} +- {fit.best_position_stderr:.1f} steps, {result.exposures} exposures"
    )
    return result


def _place(result: FocusResult) -> FocusPosition:
    assert result.fit is not None  # noqa: S101 - `_run` returns focused runs only
    return FocusPosition(
        position=result.fit.best_position,
        stderr=result.fit.best_position_stderr,
        at=result.started_at,
        filter_name=result.filter_name or "",
    )


def _one_temperature(result: FocusResult) -> dict[str, float]:
    return {} if result.temperature_c is None else {FOCUSER: result.temperature_c}


def _all_temperatures(result: FocusResult) -> Mapping[str, float]:
    """Return the temperatures of a run; the unnamed one of an older run counts as the focuser's."""
    return result.temperatures_c or _one_temperature(result)


def _model_lines(model: FocusModel) -> tuple[str, ...]:
    together = [
        f"{estimate.value:+.2f} +- {estimate.stderr:.2f} steps a degree of the sensor {name!r}"
        for name, estimate in model.steps_per_c.items()
    ]
    altitude = model.steps_per_sin_altitude
    if altitude is not None:
        together.append(f"{altitude.value:+.1f} +- {altitude.stderr:.1f} steps from the horizon to the zenith")
    return (
        f"All together: {', '.join(together)}.",
        f"Unexplained drift of focus: {model.scatter_steps:.1f} steps in {model.gap_s / 60:.0f} minutes.",
    )


def _curve_lines(curve: LearnedCurve, filter_name: str | None) -> tuple[str, ...]:
    through = f" through {filter_name}" if filter_name else ""
    slopes = (
        f"The V-curve{through}, from {_counted(curve.runs, 'run')}: inside {curve.slope_in:.4f} and outside "
        f"{curve.slope_out:.4f} a step, both +- {100 * curve.slope_error:.1f} %; {curve.least:.2f} in focus, at "
        f"{curve.best_position:.1f}."
    )
    return slopes, "It is saved in the history; the next run needs a pair of frames and one to verify."


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _backlash_proposal(settings: Settings, estimate: Estimate) -> Proposal:
    pairs = _counted(estimate.count, "pair")
    line = f"Backlash: {estimate.value:.1f} +- {estimate.stderr:.1f} steps, from {pairs} of runs."
    if estimate.is_zero or estimate.value < 1:
        return Proposal(lines=(line, "The backlash does not differ from zero: there is nothing to set."), changes={})
    method = settings.focuser.backlash.method
    changes: dict[str, object] = {}
    if method == "none":
        changes["focuser.backlash.method"] = "overshoot"
    steps = estimate.value if method == "absolute" else estimate.value + SIGMAS * estimate.stderr
    changes["focuser.backlash.steps"] = max(1, round(steps))
    return Proposal(lines=(line,), changes=changes)
