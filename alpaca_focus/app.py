"""The one place where everything is put together: settings, devices, plan and runner."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from alpaca_focus.core.backlash import Backlash, Direction, Limits, Method
from alpaca_focus.core.errors import ConfigurationError, DeviceError, RunFailed, RunsAlready
from alpaca_focus.core.events import Event, RunEnded
from alpaca_focus.core.expectation import RUN, expected_position
from alpaca_focus.core.focus_model import Conditions
from alpaca_focus.core.known_curve import KnownCurve
from alpaca_focus.core.optics import OpticalTrain
from alpaca_focus.core.plan import SweepSettings
from alpaca_focus.core.values import ExposureSettings, FocusResult, Frame, Measurement, Position
from alpaca_focus.devices.address import DeviceAddress, parse_address
from alpaca_focus.devices.arrival import ArrivalRules
from alpaca_focus.devices.camera import AlpacaCamera
from alpaca_focus.devices.clock import SystemClock
from alpaca_focus.devices.conditions import AlpacaThermometer
from alpaca_focus.devices.exposure import ExposureRules
from alpaca_focus.devices.filter_wheel import AlpacaFilterWheel
from alpaca_focus.devices.focuser import AlpacaFocuser
from alpaca_focus.devices.mount import AlpacaMount
from alpaca_focus.devices.safety import AlpacaSafetyMonitor
from alpaca_focus.guiding.phd2 import Phd2Guider
from alpaca_focus.imaging.following import StarFollower
from alpaca_focus.imaging.metrics import measuring
from alpaca_focus.imaging.spectrum import SpectrumSettings, TraceAxis
from alpaca_focus.learning import MOST_RUNS, model_by_run_temperature
from alpaca_focus.ports import (
    Camera,
    CameraShare,
    Clock,
    Device,
    FilterWheel,
    Focuser,
    Guider,
    Mount,
    SafetyMonitor,
    Thermometer,
)
from alpaca_focus.runtime.control_wire import lock_path
from alpaca_focus.runtime.home_mark import HomeMark
from alpaca_focus.runtime.lock import exclusive_lock
from alpaca_focus.runtime.memory import Memory
from alpaca_focus.runtime.runner import Bench, Circumstances, always_valid, run_focus
from alpaca_focus.runtime.wheel import turned_to
from alpaca_focus.settings.describe import describe
from alpaca_focus.settings.models import DeviceSection, FilterFocus, Focus, Settings
from alpaca_focus.settings.schema import schema_text
from alpaca_focus.settings.yaml_file import load_yaml

DeviceT = TypeVar("DeviceT", bound=Device)

LONGEST_EXPOSURE_S = 60.0
"""A focus frame is never made longer than this by itself."""
LEAST_READOUT_S = 60.0
"""A camera has at least so long to read a frame out."""
TYPICAL_SEEING_ARCSEC = 2.5
"""Seeing assumed before the first frame; it only decides how wide the first curve is taken."""


def load_settings(path: Path) -> Settings:
    """Read the settings.

    Raises:
        ConfigurationError: One line for each problem, with file, line and column.
    """
    return load_yaml(path, Settings)


def settings_schema() -> str:
    """Return the JSON schema of the settings as text."""
    return schema_text()


def describe_settings(settings: Settings) -> tuple[str, ...]:
    """Say in a few lines what the settings mean, with what follows from the optics."""
    telescope = settings.telescope
    train = OpticalTrain(
        focal_length_mm=telescope.focal_length_mm,
        aperture_mm=telescope.aperture_mm,
        central_obstruction=telescope.central_obstruction,
        pixel_size_um=(settings.camera.pixel_size_um or 1.0) * settings.focus.binning,
        step_size_um=settings.focuser.step_size_um or 1.0,
    )
    zone = f"critical focus zone: {train.critical_focus_zone_um:.0f} um"
    if settings.focuser.step_size_um is not None:
        zone += f" = {train.critical_focus_zone_steps:.0f} steps"
    return (*describe(settings), f"{zone} (4.88 x wavelength x N^2 at 0.55 um)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Devices:
    """The connected devices of one observatory; `None` where the settings name none."""

    camera: Camera
    focuser: Focuser
    filter_wheel: FilterWheel | None
    mount: Mount | None
    thermometer: Thermometer | None
    safety_monitor: SafetyMonitor | None
    guider: Guider | None = None


@asynccontextmanager
async def connected_devices(settings: Settings, clock: Clock) -> AsyncIterator[Devices]:
    """Connect all devices that the settings name, and let go of them at the end.

    Raises:
        ConfigurationError: A device cannot be used as the settings say.
        DeviceError: A device does not answer.
    """
    timeout_s = settings.alpaca.timeout_s
    async with AsyncExitStack() as stack:

        def address(section: DeviceSection) -> DeviceAddress:
            return parse_address(section.address or settings.alpaca.address, section.device_number, section.unique_id)

        async def connect(device: DeviceT) -> DeviceT:
            stack.push_async_callback(device.close)
            await device.connect()
            return device

        async def connect_if_named(section: DeviceSection | None, make: Callable[..., DeviceT]) -> DeviceT | None:
            return None if section is None else await connect(make(address(section), clock, timeout_s=timeout_s))

        yield Devices(
            focuser=await connect(
                AlpacaFocuser(
                    address(settings.focuser),
                    clock,
                    lowest=settings.focuser.min_position,
                    highest=settings.focuser.max_position,
                    rules=ArrivalRules(stall_timeout_s=settings.focuser.stall_timeout_s),
                    timeout_s=timeout_s,
                )
            ),
            camera=await connect(
                AlpacaCamera(
                    address(settings.camera),
                    clock,
                    download_timeout_s=settings.camera.download_timeout_s,
                    rules=ExposureRules(readout_timeout_s=max(LEAST_READOUT_S, settings.camera.download_timeout_s)),
                    timeout_s=timeout_s,
                )
            ),
            filter_wheel=await connect_if_named(settings.filter_wheel, AlpacaFilterWheel),
            mount=await connect_if_named(settings.mount, AlpacaMount),
            thermometer=await connect_if_named(settings.observing_conditions, AlpacaThermometer),
            safety_monitor=await connect_if_named(settings.safety_monitor, AlpacaSafetyMonitor),
            guider=_guider(settings),
        )


def _guider(settings: Settings) -> Guider | None:
    """Return the guider; it is not connected yet, because no run needs it."""
    wanted = settings.guider
    if wanted is None:
        return None
    return Phd2Guider(
        wanted.address,
        pauses=wanted.mode == "pause",
        settle_px=wanted.settle_px,
        settle_s=wanted.settle_s,
        timeout_s=wanted.timeout_s,
    )


@asynccontextmanager
async def devices_alone(settings: Settings, clock: Clock) -> AsyncIterator[Devices]:
    """Connect all devices, as `connected_devices` does, unless a daemon with the same storage.directory has them.

    Raises:
        RunsAlready: It has.
    """
    directory = storage_directory(settings)
    with ExitStack() as stack:
        if directory is not None:
            try:
                stack.enter_context(exclusive_lock(lock_path(directory)))
            except RunsAlready:
                raise
            except ConfigurationError:
                # A folder that cannot be written holds no daemon; the history tells of the trouble.
                pass
        async with connected_devices(settings, clock) as devices:
            yield devices


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How the light comes to the camera during a run.

    Attributes:
        filter_name: Filter to focus through; `None`: there is none, or nobody knows.
        offset_steps: From its best focus to that of the filter that belongs in the light.
    """

    filter_name: str | None
    offset_steps: int


async def focus(settings: Settings, *, emit: Callable[[Event], None], clock: Clock | None = None) -> FocusResult:
    """Connect, focus once, let go.

    Args:
        settings: What the user set.
        emit: Told everything that happens during the run.
        clock: Time; the system's own when left out.

    Raises:
        ConfigurationError: Something a person must mend first; nothing was moved.
        DeviceError: A device failed before anything was moved.
        RunFailed: The observatory is not in a state to focus; nothing was moved.
        asyncio.CancelledError: Aborted; the focuser was brought home first.
    """
    clock = clock or SystemClock()
    async with devices_alone(settings, clock) as devices:
        await refuse_what_cannot_work(devices)
        wanted = await filter_in_light(devices)
        way = way_through(settings, devices, wanted)
        async with turned_to(devices.filter_wheel, way.filter_name, wanted):
            return await focus_with(devices, Order(settings=settings, way=way, emit=emit, clock=clock))


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One focus run as it is asked for.

    Attributes:
        settings: What the user set.
        way: Filter in the light, and what is added for another one.
        emit: Told everything that happens.
        clock: Time.
        trigger: Why, for the history.
        backlash: How targets are approached; `None`: as the settings say.
        whole_curve: Whether to take a whole curve although one is known.
        teaches: Whether the curve and the place of focus are learned from it.
        temperatures_c: Temperatures besides those that are read for it, by name, for the history.
        share: Whose turn it is with the camera; `None`: nobody else uses it.
        still_valid: Asked after an interruption: why the frames before it say nothing any more.
        seen: Told each frame with its measurement, in the thread that measures.
    """

    settings: Settings
    way: Way
    emit: Callable[[Event], None]
    clock: Clock
    trigger: str = "asked for"
    backlash: Backlash | None = None
    whole_curve: bool = False
    teaches: bool = True
    temperatures_c: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    share: CameraShare | None = None
    still_valid: Callable[[], Awaitable[str]] = always_valid
    seen: Callable[[Frame, Measurement], None] = lambda _, __: None


async def focus_with(devices: Devices, order: Order) -> FocusResult:
    """Focus once with connected devices, through the filter that is in the light.

    Raises:
        ConfigurationError: Something a person must mend first; nothing was moved.
        DeviceError: A device failed before anything was moved.
        asyncio.CancelledError: Aborted; the focuser was brought home first.
    """
    settings, way = order.settings, order.way
    focus_settings = settings.focus.through(way.filter_name)
    train = optical_train(settings, devices, binning=focus_settings.binning)
    circumstances = await _circumstances(devices, way, order.temperatures_c)
    with Memory(storage_directory(settings), subject(train, focus_settings.metric)) as memory:
        sweep_settings = plan_settings(
            settings,
            devices,
            start=await devices.focuser.position(),
            filter_name=way.filter_name,
            known=None if order.whole_curve else _known_curve(memory, circumstances, order.clock),
        )
        if order.backlash is not None:
            sweep_settings = replace(sweep_settings, backlash=order.backlash)

        def tell(event: Event) -> None:
            if isinstance(event, RunEnded):
                # Here and not after the run, so that an aborted one is kept too; and whoever is told finds it there.
                memory.remember(event.result, trigger=order.trigger, learn=order.teaches)
            order.emit(event)

        return await run_focus(
            Bench(
                camera=devices.camera,
                focuser=devices.focuser,
                clock=order.clock,
                measure=_seen_by(order.seen, _measure(focus_settings, train)),
                home_mark=HomeMark(storage_directory(settings), devices.focuser.name),
                guider=devices.guider,
                share=order.share,
                still_valid=order.still_valid,
            ),
            sweep_settings,
            circumstances=circumstances,
            max_duration_s=settings.focus.max_duration_s,
            emit=tell,
        )


def _measure(focus_settings: Focus, train: OpticalTrain) -> Callable[[Frame], Measurement]:
    """Return how frames of one run are measured; of stars, the same ones are followed through it."""
    if focus_settings.metric == "hfd":
        return StarFollower(train if focus_settings.by_rings else None)
    spectrum = focus_settings.spectrum
    return measuring(
        focus_settings.metric, SpectrumSettings(axis=TraceAxis(spectrum.axis), x0=spectrum.x0, x1=spectrum.x1)
    )


def _seen_by(
    seen: Callable[[Frame, Measurement], None], measure: Callable[[Frame], Measurement]
) -> Callable[[Frame], Measurement]:
    def measured(frame: Frame) -> Measurement:
        measurement = measure(frame)
        seen(frame, measurement)
        return measurement

    return measured


def subject(train: OpticalTrain, metric: str) -> str:
    """Name what a learned V-curve belongs to."""
    return train.name if metric == "hfd" else f"{train.name}, {metric}"


def way_through(settings: Settings, devices: Devices, wanted: str | None) -> Way:
    """Choose the filter to focus through, for the filter that belongs in the light.

    Raises:
        ConfigurationError: The settings name a filter that no wheel can turn to, or no offset is known of it.
    """
    instead = None if wanted is None else settings.focus.filters.get(wanted, FilterFocus()).focus_through
    if wanted is None or instead is None or instead == wanted:
        return Way(filter_name=wanted, offset_steps=0)
    if devices.filter_wheel is None:
        raise ConfigurationError(
            f"focus.filters.{wanted} asks to focus through {instead}, and there is no filter_wheel in the settings "
            f"that could turn to it. Nothing was moved. Take focus_through out of focus.filters.{wanted}, or set "
            "filter_wheel."
        )
    offsets = focus_offsets(settings, devices)
    for name in (wanted, instead):
        if name not in offsets:
            raise ConfigurationError(
                f"focus.filters.{wanted} asks to focus through {instead}, and no focus offset of {name} is known. "
                f"Give filter_wheel.focus_offsets_steps.{name}: `alpaca-focus calibrate filters` measures it."
            )
    return Way(filter_name=instead, offset_steps=offsets[wanted] - offsets[instead])


def focus_offsets(settings: Settings, devices: Devices) -> dict[str, int]:
    """Return the focus offsets of the filters in steps: those of the settings, else what the wheel says."""
    if settings.filter_wheel is not None and settings.filter_wheel.focus_offsets_steps:
        return dict(settings.filter_wheel.focus_offsets_steps)
    wheel = devices.filter_wheel
    return {} if wheel is None else dict(zip(wheel.names, wheel.focus_offsets_steps, strict=True))


async def filter_in_light(devices: Devices, *, told: str | None = None) -> str | None:
    """Return the name of the filter in the light; `None` where nobody says.

    Args:
        devices: With the wheel that is asked.
        told: What a script has told; counts where there is no wheel.
    """
    if devices.filter_wheel is None:
        return told
    slot, names = await devices.filter_wheel.slot(), devices.filter_wheel.names
    return names[slot] if slot is not None and slot < len(names) else None


def storage_directory(settings: Settings) -> Path | None:
    """Return the folder of the history; `None`: none is kept."""
    directory = settings.storage.directory
    return None if directory is None else Path(directory).expanduser()


async def refuse_what_cannot_work(devices: Devices) -> None:
    """Check that the observatory is in a state to focus.

    Raises:
        RunFailed: It is not; nothing was moved.
    """
    if devices.safety_monitor is not None and not await devices.safety_monitor.is_safe():
        raise RunFailed(f"{devices.safety_monitor.name} says that the observatory is not safe. Nothing was moved.")
    if devices.mount is not None:
        state = await devices.mount.state()
        if state.parked:
            raise RunFailed(f"{devices.mount.name} is parked. Unpark it and point it at the sky. Nothing was moved.")


def _known_curve(memory: Memory, circumstances: Circumstances, clock: Clock) -> KnownCurve | None:
    """Return the curve that is known, with focus expected where the history says that it has moved to."""
    filter_name, temperature_c = circumstances.filter_name, circumstances.temperature_c
    profile = memory.profile(filter_name)
    if profile is None:
        return None
    temperatures_c = {} if temperature_c is None else {RUN: temperature_c}
    now = Conditions(at=clock.wall(), temperatures_c=temperatures_c, filter_name=filter_name or "")
    model = model_by_run_temperature(memory.runs(last=MOST_RUNS))
    return profile.known_curve(expected_position=expected_position(model, profile, now))


async def _circumstances(devices: Devices, way: Way, also_c: Mapping[str, float]) -> Circumstances:
    """Read what focus depends on; what is not there, or makes no sense, is left out.

    Args:
        devices: What is read.
        way: Filter, and offset.
        also_c: Temperatures that are known already, by name.

    Raises:
        DeviceError: The focuser failed.
    """
    readings = {"focuser": await devices.focuser.temperature_c(), "air": await _air_c(devices.thermometer)}
    temperatures_c = {name: reading for name, reading in readings.items() if reading is not None}
    return Circumstances(
        temperature_c=temperatures_c.get("focuser", temperatures_c.get("air")),
        filter_name=way.filter_name,
        offset_steps=way.offset_steps,
        altitude_deg=await _altitude_deg(devices.mount),
        temperatures_c={**temperatures_c, **also_c},
    )


async def _air_c(thermometer: Thermometer | None) -> float | None:
    try:
        return None if thermometer is None else await thermometer.temperature_c()
    except DeviceError:
        # No run fails for the want of a number that is only learned from.
        return None


async def _altitude_deg(mount: Mount | None) -> float | None:
    try:
        return None if mount is None else (await mount.state()).altitude_deg
    except DeviceError:
        # As above.
        return None


def optical_train(settings: Settings, devices: Devices, *, binning: int) -> OpticalTrain:
    """Put together the optics from the settings and from what the devices say of themselves.

    Raises:
        ConfigurationError: Neither says how large the pixels or the steps are.
    """
    camera, focuser = devices.camera, devices.focuser
    pixel_size_um = settings.camera.pixel_size_um or camera.info.pixel_size_um
    if pixel_size_um is None:
        raise ConfigurationError(f"{camera.name} does not say how large its pixels are. Set camera.pixel_size_um.")
    step_size_um = settings.focuser.step_size_um or focuser.info.step_size_um
    if step_size_um is None:
        raise ConfigurationError(f"{focuser.name} does not say how far one step goes. Set focuser.step_size_um.")
    return OpticalTrain(
        focal_length_mm=settings.telescope.focal_length_mm,
        aperture_mm=settings.telescope.aperture_mm,
        central_obstruction=settings.telescope.central_obstruction,
        pixel_size_um=pixel_size_um * binning,
        step_size_um=step_size_um,
    )


def plan_settings(
    settings: Settings,
    devices: Devices,
    *,
    start: Position,
    filter_name: str | None = None,
    known: KnownCurve | None = None,
) -> SweepSettings:
    """Put together what a sweep must know from the settings and from what the devices say of themselves.

    Raises:
        ConfigurationError: Neither says it, or the camera cannot do what the settings ask for.
    """
    focus_settings, info = settings.focus.through(filter_name), devices.camera.info
    _check_exposure(focus_settings, devices.camera)
    train = optical_train(settings, devices, binning=focus_settings.binning)
    of_stars = focus_settings.metric == "hfd"
    return SweepSettings(
        exposure=ExposureSettings(
            exposure_s=focus_settings.exposure_s,
            binning=focus_settings.binning,
            gain=focus_settings.gain,
            offset=focus_settings.offset,
        ),
        exposure_limits_s=(info.exposure_min_s, min(info.exposure_max_s, LONGEST_EXPOSURE_S)),
        points=focus_settings.points,
        step_steps=focus_settings.step_steps,
        critical_focus_zone_steps=train.critical_focus_zone_steps,
        slope_per_step=train.hfd_slope_px_per_step if of_stars else None,
        least=train.hfd_px(seeing_fwhm_arcsec=TYPICAL_SEEING_ARCSEC) if of_stars else None,
        backlash=backlash(settings),
        limits=limits(settings, devices.focuser, start),
        settle_s=settings.focuser.settle_s,
        max_exposures=focus_settings.max_exposures,
        subframe=focus_settings.subframe,
        by_rings=focus_settings.by_rings,
        retries=focus_settings.retries,
        known=known,
    )


def _check_exposure(wanted: Focus, camera: Camera) -> None:
    info = camera.info
    if not info.exposure_min_s <= wanted.exposure_s <= info.exposure_max_s:
        raise ConfigurationError(
            f"{camera.name} takes exposures from {info.exposure_min_s:g} to {info.exposure_max_s:g} s, and "
            f"focus.exposure_s asks for {wanted.exposure_s:g} s."
        )
    if wanted.binning > info.max_binning:
        raise ConfigurationError(
            f"{camera.name} bins up to {info.max_binning}, and focus.binning asks for {wanted.binning}."
        )


def backlash(settings: Settings) -> Backlash:
    """Return how targets are approached."""
    wanted, arrive = settings.focuser.backlash, Direction(settings.focuser.backlash.arrive)
    if wanted.method == "none":
        return Backlash(steps=0, arrive=arrive)
    return Backlash(steps=wanted.steps, arrive=arrive, method=Method(wanted.method))


def limits(settings: Settings, focuser: Focuser, start: Position) -> Limits:
    """Return where the focuser may go in a run that begins at `start`.

    Raises:
        ConfigurationError: The start lies outside.
    """
    whole, travel = focuser_range(settings, focuser, start), settings.focus.max_travel_steps
    if travel is None:
        return whole
    return Limits(lowest=max(whole.lowest, start - travel), highest=min(whole.highest, start + travel))


def focuser_range(settings: Settings, focuser: Focuser, here: Position) -> Limits:
    """Return where the focuser may go at all.

    Raises:
        ConfigurationError: It stands outside.
    """
    lowest = settings.focuser.min_position or 0
    highest = min(settings.focuser.max_position or focuser.info.max_step, focuser.info.max_step)
    if not lowest <= here <= highest:
        raise ConfigurationError(
            f"{focuser.name} stands at {here}, outside of the limits {lowest} to {highest}. Move it inside, or widen "
            "focuser.min_position and focuser.max_position."
        )
    return Limits(lowest=lowest, highest=highest)
