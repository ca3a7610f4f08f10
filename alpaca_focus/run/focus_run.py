"""One focus run: requested, carried out with connected devices, and saved in the history."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from alpaca_focus.core.curves.known_curve import KnownCurve
from alpaca_focus.core.errors import DeviceError, RunFailed
from alpaca_focus.core.events import Event, RunEnded
from alpaca_focus.core.metrics import STAR_SIZE
from alpaca_focus.core.night.focus_model import RUN, Conditions, expected_position
from alpaca_focus.core.optics import OpticalTrain
from alpaca_focus.core.sweep.backlash import Backlash
from alpaca_focus.core.values import FocusResult, Frame, Measurement
from alpaca_focus.devices.clock import SystemClock
from alpaca_focus.imaging.measuring_functions import measuring
from alpaca_focus.imaging.spectrum import SpectrumSettings, TraceAxis
from alpaca_focus.ports import CameraSharing, Clock
from alpaca_focus.run.camera_lease import filter_turn
from alpaca_focus.run.camera_marker import camera_marker
from alpaca_focus.run.device_adapters import Devices, devices_alone
from alpaca_focus.run.filter_choice import FilterChoice, choose_filter, current_filter
from alpaca_focus.run.restore_marker import RestoreMarker
from alpaca_focus.run.runner import RunConditions, RunDevices, always_valid, run_focus
from alpaca_focus.run.sweep_settings import optical_train, plan_settings
from alpaca_focus.settings.models import FocusSection, Settings
from alpaca_focus.store.learned_model import MOST_RUNS, model_by_run_temperature
from alpaca_focus.store.run_memory import Memory


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """A request for one focus run.

    Attributes:
        emit: Publishes the events of the run.
        trigger: The reason, for the history.
        backlash: Overrides the settings.
        whole_curve: Whether to measure a whole curve although one is known.
        teaches: Whether the curve and the best position are learned from the run.
        temperatures_c: Further temperatures by name, for the history.
        filter_before: The current filter, which is restored after the run; `None`: the wheel is left alone.
        sharing: Shares the camera with an imaging program; `None`: nobody else uses it.
        still_valid: Returns, after a camera handover, why earlier frames are no longer valid; empty if they are.
        zero_shift_steps: By how much the focuser's positions have probably shifted since the curve was learned.
        seen: Called with each frame and its measurement, in the measuring thread.
    """

    settings: Settings
    filter_choice: FilterChoice
    emit: Callable[[Event], None]
    clock: Clock
    trigger: str = "asked for"
    backlash: Backlash | None = None
    whole_curve: bool = False
    teaches: bool = True
    temperatures_c: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    filter_before: str | None = None
    sharing: CameraSharing | None = None
    still_valid: Callable[[], Awaitable[str]] = always_valid
    zero_shift_steps: int = 0
    seen: Callable[[Frame, Measurement], None] = lambda _, __: None


async def focus_once(settings: Settings, *, emit: Callable[[Event], None], clock: Clock | None = None) -> FocusResult:
    """Connect, focus once, disconnect.

    Raises:
        ConfigurationError: The settings have to be corrected first; nothing was moved.
        DeviceError: A device failed before anything was moved.
        RunFailed: The observatory is not in a state to focus; nothing was moved.
        asyncio.CancelledError: Aborted; the focuser was restored first.
    """
    clock = clock or SystemClock()
    async with devices_alone(settings, clock) as devices:
        await ensure_can_focus(devices)
        wanted = await current_filter(devices)
        filter_choice = choose_filter(settings, devices, wanted)
        return await run_with_devices(
            devices,
            RunRequest(settings=settings, filter_choice=filter_choice, emit=emit, clock=clock, filter_before=wanted),
        )


async def run_with_devices(devices: Devices, request: RunRequest) -> FocusResult:
    """Focus once with connected devices.

    Raises:
        ConfigurationError: The settings have to be corrected first; nothing was moved.
        DeviceError: A device failed before anything was moved.
        asyncio.CancelledError: Aborted; the focuser was restored first.
    """
    settings, filter_choice = request.settings, request.filter_choice
    turn = filter_turn(devices.filter_wheel, filter_choice.filter_name, request.filter_before)
    focus_settings = settings.focus.through(filter_choice.filter_name)
    train = optical_train(settings, devices, binning=focus_settings.binning)
    conditions = await read_run_conditions(devices, filter_choice, request.temperatures_c)
    with Memory(settings.storage.folder, subject(train, focus_settings.metric)) as memory:
        sweep_settings = plan_settings(
            settings,
            devices,
            start=await devices.focuser.position(),
            filter_name=filter_choice.filter_name,
            known=None if request.whole_curve else _known_curve(memory, conditions, request),
        )
        if request.backlash is not None:
            sweep_settings = replace(sweep_settings, backlash=request.backlash)

        def emit(event: Event) -> None:
            if isinstance(event, RunEnded):
                # Save before publishing: an aborted run is saved too, and subscribers to the event can read it.
                memory.remember(event.result, trigger=request.trigger, learn=request.teaches)
            request.emit(event)

        return await run_focus(
            RunDevices(
                camera=devices.camera,
                focuser=devices.focuser,
                clock=request.clock,
                measure=_measuring(request, focus_settings, train),
                restore_marker=RestoreMarker(settings.storage.folder, devices.focuser.name),
                # The gateway writes its own: it alone knows the imaging program's settings and its exposure.
                camera_marker=None if request.sharing is not None else camera_marker(settings),
                guider=devices.guider,
                sharing=request.sharing,
                turn=turn,
                still_valid=request.still_valid,
            ),
            sweep_settings,
            conditions=conditions,
            max_duration_s=settings.focus.max_duration_s,
            emit=emit,
        )


async def ensure_can_focus(devices: Devices) -> None:
    """Check that the observatory is safe and the mount not parked.

    Raises:
        RunFailed: It is not; nothing was moved.
    """
    if devices.safety_monitor is not None and not await devices.safety_monitor.is_safe():
        raise RunFailed(f"{devices.safety_monitor.name} reports unsafe conditions. Nothing was moved.")
    if devices.mount is not None:
        state = await devices.mount.state()
        if state.parked:
            raise RunFailed(f"{devices.mount.name} is parked; nothing was moved. Unpark it and point it at the sky.")


async def read_run_conditions(
    devices: Devices, filter_choice: FilterChoice, also_c: Mapping[str, float]
) -> RunConditions:
    """Read the temperatures and the altitude; missing and implausible readings are left out.

    `also_c` has further temperatures, by name.

    Raises:
        DeviceError: The focuser failed.
    """
    air_c = altitude_deg = None
    # The history learns from these two; a run can do without them.
    with suppress(DeviceError):
        air_c = None if devices.thermometer is None else await devices.thermometer.temperature_c()
    with suppress(DeviceError):
        altitude_deg = None if devices.mount is None else (await devices.mount.state()).altitude_deg
    readings = {"focuser": await devices.focuser.temperature_c(), "air": air_c}
    temperatures_c = {name: reading for name, reading in readings.items() if reading is not None}
    return RunConditions(
        temperature_c=temperatures_c.get("focuser", temperatures_c.get("air")),
        filter_name=filter_choice.filter_name,
        offset_steps=filter_choice.offset_steps,
        altitude_deg=altitude_deg,
        temperatures_c={**temperatures_c, **also_c},
    )


def _known_curve(memory: Memory, conditions: RunConditions, request: RunRequest) -> KnownCurve | None:
    """Return the learned curve, shifted to where the focus model expects best focus now."""
    filter_name, temperature_c = conditions.filter_name, conditions.temperature_c
    profile = memory.profile(filter_name)
    if profile is None:
        return None
    temperatures_c = {} if temperature_c is None else {RUN: temperature_c}
    now = Conditions(at=request.clock.wall(), temperatures_c=temperatures_c, filter_name=filter_name or "")
    model = model_by_run_temperature(memory.runs(last=MOST_RUNS))
    expected = expected_position(model, profile, now) + request.zero_shift_steps
    return profile.known_curve(expected_position=expected)


def _measuring(
    request: RunRequest, focus_settings: FocusSection, train: OpticalTrain
) -> Callable[[Frame], Measurement]:
    """Return the function that measures a frame and passes both on to `request.seen`."""
    spectrum = focus_settings.spectrum
    measure = measuring(
        focus_settings.metric,
        SpectrumSettings(axis=TraceAxis(spectrum.axis), x0=spectrum.x0, x1=spectrum.x1),
        train if focus_settings.by_rings else None,
    )

    def measured(frame: Frame) -> Measurement:
        measurement = measure(frame)
        request.seen(frame, measurement)
        return measurement

    return measured


def subject(train: OpticalTrain, metric: str) -> str:
    """Return the key that a learned V-curve is saved under: the optics, and the metric if it is not star size."""
    return train.name if metric == STAR_SIZE else f"{train.name}, {metric}"
