"""Calibration: several focus runs, or the history of them, and what they say of the focuser and the telescope."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from alpaca_focus.core.curves.calibration import Estimate, FocusPosition, backlash_steps, filter_offsets
from alpaca_focus.core.curves.learned_curve import LearnedCurve
from alpaca_focus.core.errors import ConfigurationError, RunFailed
from alpaca_focus.core.events import Event
from alpaca_focus.core.night.focus_learning import FEWEST_RUNS, LEAST_RANGE_C, learned_model
from alpaca_focus.core.night.focus_model import FocusModel
from alpaca_focus.core.sweep.backlash import Backlash, Direction
from alpaca_focus.core.values import FocusResult, Outcome
from alpaca_focus.devices.clock import SystemClock
from alpaca_focus.ports import Clock
from alpaca_focus.run.camera_lease import slot_of
from alpaca_focus.run.device_adapters import Devices, devices_alone
from alpaca_focus.run.filter_choice import Way, filter_in_light
from alpaca_focus.run.focus_run import Order, focus_with, subject
from alpaca_focus.run.run_conditions import ensure_can_focus
from alpaca_focus.run.sweep_settings import optical_train
from alpaca_focus.settings.models import Settings
from alpaca_focus.settings.yaml_writer import edit_yaml
from alpaca_focus.store.learned_model import BACKLASH, MOST_RUNS, observation, teaching
from alpaca_focus.store.run_memory import Memory
from alpaca_focus.store.run_store import RunStore

FOCUSER = "focuser"
"""What the temperature of older runs was, which has no name."""
GENEROUS_FACTOR, GENEROUS_CFZ = 3, 8
SIGMAS = 2.0
"""A slack is set to its estimate and so many standard errors: too much does no harm."""

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What a calibration found.

    Attributes:
        lines: For a person, with the errors.
        changes: Settings by dotted name with the values proposed; empty when there is nothing to set.
    """

    lines: tuple[str, ...]
    changes: dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What all calibrations with devices need.

    Attributes:
        settings: What the user set.
        tell: Told a line for each run.
        emit: Told everything that happens in the runs.
        clock: Time.
    """

    settings: Settings
    tell: Tell
    emit: Callable[[Event], None]
    clock: Clock


def calibration(settings: Settings, *, tell: Tell, clock: Clock | None = None) -> Calibration:
    """Return a calibration of an observatory."""
    return Calibration(settings=settings, tell=tell, emit=lambda _: None, clock=clock or SystemClock())


async def vcurve(asked: Calibration, *, runs: int) -> Proposal:
    """Take whole V-curves and learn from each, so that later runs need only a pair of frames.

    Raises:
        ConfigurationError: No storage.directory is set, or what `focus_once` raises.
        RunFailed: A run failed; the focuser is back where that one started.
    """
    directory = asked.settings.storage.folder
    if directory is None:
        raise ConfigurationError("A learned V-curve needs a place to be kept: set storage.directory.")
    async with devices_alone(asked.settings, asked.clock) as devices:
        await ensure_can_focus(devices)
        name = await filter_in_light(devices)
        for number in range(1, runs + 1):
            order = _order(asked, name, trigger="calibrate vcurve")
            await _run(asked, devices, replace(order, whole_curve=True), f"run {number} of {runs}")
        metric = asked.settings.focus.metric
        train = optical_train(asked.settings, devices, binning=asked.settings.focus.through(name).binning)
        with Memory(directory, subject(train, metric)) as memory:
            profile = memory.profile(name)
    if profile is None:
        raise RunFailed("The runs saw too little of an arm of the V to learn its slope. Set focus.points higher.")
    return Proposal(lines=_profile_lines(profile, name), changes={})


async def backlash(asked: Calibration, *, pairs: int) -> Proposal:
    """Measure the focuser's slack by runs that arrive inward and outward.

    Raises:
        RunFailed: A run failed; the focuser is back where that one started.
    """
    places: dict[Direction, list[FocusPosition]] = {Direction.IN: [], Direction.OUT: []}
    set_steps = asked.settings.focuser.backlash.steps
    async with devices_alone(asked.settings, asked.clock) as devices:
        await ensure_can_focus(devices)
        name = await filter_in_light(devices)
        train = optical_train(asked.settings, devices, binning=1)
        generous = max(GENEROUS_FACTOR * set_steps, round(GENEROUS_CFZ * train.critical_focus_zone_steps))
        for number in range(1, pairs + 1):
            for direction in (Direction.IN, Direction.OUT):
                order = replace(
                    _order(asked, name, trigger=BACKLASH),
                    backlash=Backlash(steps=generous, arrive=direction),
                    whole_curve=True,
                    teaches=False,
                )
                told = f"pair {number} of {pairs}, arriving {direction}ward"
                places[direction].append(_place(await _run(asked, devices, order, told)))
    found = backlash_steps(list(zip(places[Direction.IN], places[Direction.OUT], strict=True)))
    return _backlash_proposal(asked.settings, found)


async def filters(asked: Calibration, *, runs: int, reference: str | None) -> Proposal:
    """Measure the focus offsets of all filters against a reference.

    Raises:
        ConfigurationError: There is no filter wheel, or no such filter.
        RunFailed: A run failed; the focuser is back where that one started, and the first filter is in the light.
    """
    places = []
    async with devices_alone(asked.settings, asked.clock) as devices:
        await ensure_can_focus(devices)
        wheel = devices.filter_wheel
        if wheel is None:
            raise ConfigurationError("There are no filters without a wheel: set filter_wheel.")
        before = await filter_in_light(devices)
        base = reference or before or wheel.names[0]
        slot_of(wheel, base)
        others = [name for name in wheel.names if name != base]
        order_of_filters = [base, *([*others, base] * runs)]
        for number, name in enumerate(order_of_filters, start=1):
            order = replace(_order(asked, name, trigger="calibrate filters"), filter_before=before)
            told = f"run {number} of {len(order_of_filters)}, through {name}"
            places.append(_place(await _run(asked, devices, order, told)))
    offsets = filter_offsets(places, base)
    lines = [f"Focus offsets against {base}, in steps:"]
    lines += [f"  {name:<10} {each.value:+8.1f} +- {each.stderr:.1f}" for name, each in offsets.items()]
    values = {base: 0} | {name: round(each.value) for name, each in offsets.items()}
    return Proposal(lines=tuple(lines), changes={"filter_wheel.focus_offsets_steps": values})


def temperature(settings: Settings) -> Proposal:
    """Find from the history by how much focus moves with temperature.

    Raises:
        ConfigurationError: No storage.directory is set.
        StorageError: The history cannot be read.
        RunFailed: It says too little.
    """
    directory = settings.storage.folder
    if directory is None:
        raise ConfigurationError("Without a history nothing is known of the temperature: set storage.directory.")
    with RunStore(directory, read_only=True) as store:
        runs = store.runs(last=MOST_RUNS)
    results = teaching(runs)
    # The setting follows one temperature alone, whatever else moves focus.
    alone = learned_model([observation(result, _one_temperature(result)) for result in results])
    if alone is None:
        raise RunFailed(
            f"The history says too little of temperature: it needs at least {FEWEST_RUNS} good runs in one night, "
            f"{LEAST_RANGE_C:g} degrees apart, and more with several filters, and has "
            f"{_counted(len(results), 'good run')} in all. Focus now and then while it cools."
        )
    (found,) = alone.steps_per_c.values()
    line = f"Temperature coefficient: {found.value:+.2f} +- {found.stderr:.2f} steps a degree, from {found.count} runs."
    whole = learned_model([observation(result, _all_temperatures(result)) for result in results])
    lines = (line, *(_model_lines(whole) if whole is not None else ()))
    if found.is_zero:
        return Proposal(lines=(*lines, "The coefficient may as well be nothing: there is nothing to set."), changes={})
    return Proposal(lines=lines, changes={"focuser.temperature_coefficient_steps_per_c": round(found.value, 2)})


def apply(path: Path, proposal: Proposal) -> None:
    """Write what a calibration proposes into the settings.

    Raises:
        ConfigurationError: The file cannot be written; it is as it was.
    """
    edit_yaml(path, proposal.changes, Settings)


def _order(asked: Calibration, filter_name: str | None, *, trigger: str) -> Order:
    return Order(
        settings=asked.settings,
        way=Way(filter_name=filter_name, offset_steps=0),
        emit=asked.emit,
        clock=asked.clock,
        trigger=trigger,
    )


async def _run(asked: Calibration, devices: Devices, order: Order, told: str) -> FocusResult:
    result = await focus_with(devices, order)
    if result.outcome is not Outcome.FOCUSED or result.fit is None:
        raise RunFailed(f"The calibration ended at {told}: {result.reason}")
    fit = result.fit
    asked.tell(
        f"{told}: best {fit.best_position:.1f} +- {fit.best_position_stderr:.1f} steps, {result.exposures} exposures"
    )
    return result


def _place(result: FocusResult) -> FocusPosition:
    assert result.fit is not None  # noqa: S101 - only focused runs come here
    return FocusPosition(
        position=result.fit.best_position,
        stderr=result.fit.best_position_stderr,
        at=result.started_at,
        filter_name=result.filter_name or "",
    )


def _one_temperature(result: FocusResult) -> dict[str, float]:
    return {} if result.temperature_c is None else {FOCUSER: result.temperature_c}


def _all_temperatures(result: FocusResult) -> Mapping[str, float]:
    """Return the temperatures of a run; those of older runs have no names, and are taken to be the focuser's."""
    return result.temperatures_c or _one_temperature(result)


def _model_lines(model: FocusModel) -> tuple[str, ...]:
    together = [
        f"{found.value:+.2f} +- {found.stderr:.2f} steps a degree of the sensor {name!r}"
        for name, found in model.steps_per_c.items()
    ]
    altitude = model.steps_per_sin_altitude
    if altitude is not None:
        together.append(f"{altitude.value:+.1f} +- {altitude.stderr:.1f} steps from the horizon to the zenith")
    return (
        f"All together: {', '.join(together)}.",
        f"Besides, focus wanders by {model.scatter_steps:.1f} steps in {model.gap_s / 60:.0f} minutes.",
    )


def _profile_lines(profile: LearnedCurve, filter_name: str | None) -> tuple[str, ...]:
    through = f" through {filter_name}" if filter_name else ""
    slopes = (
        f"The V-curve{through}, from {_counted(profile.runs, 'run')}: inside {profile.slope_in:.4f} and outside "
        f"{profile.slope_out:.4f} a step, both +- {100 * profile.slope_error:.1f} %; {profile.least:.2f} in focus, at "
        f"{profile.best_position:.1f}."
    )
    return slopes, "It is kept in the history; the next run needs a pair of frames and one to verify."


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _backlash_proposal(settings: Settings, found: Estimate) -> Proposal:
    line = f"Backlash: {found.value:.1f} +- {found.stderr:.1f} steps, from {_counted(found.count, 'pair')} of runs."
    if found.is_zero or found.value < 1:
        return Proposal(lines=(line, "That may as well be nothing: there is nothing to set."), changes={})
    method = settings.focuser.backlash.method
    changes: dict[str, object] = {}
    if method == "none":
        changes["focuser.backlash.method"] = "overshoot"
    steps = found.value if method == "absolute" else found.value + SIGMAS * found.stderr
    changes["focuser.backlash.steps"] = max(1, round(steps))
    return Proposal(lines=(line,), changes=changes)
