"""The devices of one observatory, connected as the settings name them."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import cast

from alpaca_focus.core.device_kinds import DEVICE_KINDS
from alpaca_focus.core.errors import AlreadyRunning, ConfigurationError
from alpaca_focus.devices.address import DeviceAddress, parse_address
from alpaca_focus.devices.arrival import ArrivalRules
from alpaca_focus.devices.camera import AlpacaCamera
from alpaca_focus.devices.exposure import ExposureRules
from alpaca_focus.devices.filter_wheel import AlpacaFilterWheel
from alpaca_focus.devices.focuser import AlpacaFocuser
from alpaca_focus.devices.phd2 import Phd2Guider
from alpaca_focus.devices.read_only import AlpacaMount, AlpacaSafetyMonitor, AlpacaThermometer
from alpaca_focus.ports import Camera, Clock, Device, FilterWheel, Focuser, Guider, Mount, SafetyMonitor, Thermometer
from alpaca_focus.service.control_wire import exclusive_lock, lock_path
from alpaca_focus.settings.models import DeviceSection, Settings

LEAST_READOUT_S = 60.0
"""Shortest timeout for a camera's readout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Devices:
    """The connected devices of one observatory, by their section of the settings."""

    connected: Mapping[str, Device]
    guider: Guider | None = None

    @property
    def camera(self) -> Camera:
        """The camera."""
        return cast("Camera", self.connected["camera"])

    @property
    def focuser(self) -> Focuser:
        """The focuser."""
        return cast("Focuser", self.connected["focuser"])

    @property
    def filter_wheel(self) -> FilterWheel | None:
        """The filter wheel; `None`: the settings name none."""
        return cast("FilterWheel | None", self.connected.get("filter_wheel"))

    @property
    def mount(self) -> Mount | None:
        """The mount; `None`: the settings name none."""
        return cast("Mount | None", self.connected.get("mount"))

    @property
    def thermometer(self) -> Thermometer | None:
        """The thermometer of the weather station; `None`: the settings name none."""
        return cast("Thermometer | None", self.connected.get("observing_conditions"))

    @property
    def safety_monitor(self) -> SafetyMonitor | None:
        """The safety monitor; `None`: the settings name none."""
        return cast("SafetyMonitor | None", self.connected.get("safety_monitor"))


def address_of(section: DeviceSection, settings: Settings) -> DeviceAddress:
    """Return a device's address: on its own server, or on the common one of the section `alpaca`."""
    return parse_address(section.address or settings.alpaca.address, section.device_number, section.unique_id)


def camera_adapter(settings: Settings, clock: Clock) -> AlpacaCamera:
    """Return the camera of the settings, not connected yet."""
    section = settings.camera
    return AlpacaCamera(
        address_of(section, settings),
        clock,
        download_timeout_s=section.download_timeout_s,
        rules=ExposureRules(
            idle_timeout_s=section.idle_timeout_s,
            readout_timeout_s=max(LEAST_READOUT_S, section.download_timeout_s, section.idle_timeout_s),
        ),
        timeout_s=settings.alpaca.timeout_s,
    )


def focuser_adapter(settings: Settings, clock: Clock) -> AlpacaFocuser:
    """Return the focuser of the settings, not connected yet."""
    section = settings.focuser

    def tolerance_steps(reported_um: float | None) -> int:
        step_um = section.step_size_um or reported_um
        if section.tolerance_steps is not None or step_um is None:
            return 1 if section.tolerance_steps is None else section.tolerance_steps
        # The zone does not depend on the pixel size, which the optical train needs nevertheless.
        return settings.telescope.train(pixel_size_um=1.0, step_size_um=step_um).arrival_tolerance_steps

    return AlpacaFocuser(
        address_of(section, settings),
        clock,
        lowest=section.min_position,
        highest=section.max_position,
        tolerance_steps=tolerance_steps,
        rules=ArrivalRules(stall_timeout_s=section.stall_timeout_s),
        timeout_s=settings.alpaca.timeout_s,
    )


def plain_adapter(section: str, adapter: Callable[..., Device]) -> Callable[[Settings, Clock], Device]:
    """Return a function that makes an adapter whose settings are its address alone."""

    def make(settings: Settings, clock: Clock) -> Device:
        address = address_of(getattr(settings, section), settings)
        return adapter(address, clock, timeout_s=settings.alpaca.timeout_s)

    return make


_ADAPTERS: dict[str, Callable[[Settings, Clock], Device]] = {
    "camera": camera_adapter,
    "focuser": focuser_adapter,
    "filter_wheel": plain_adapter("filter_wheel", AlpacaFilterWheel),
    "mount": plain_adapter("mount", AlpacaMount),
    "observing_conditions": plain_adapter("observing_conditions", AlpacaThermometer),
    "safety_monitor": plain_adapter("safety_monitor", AlpacaSafetyMonitor),
}
ADAPTERS = MappingProxyType(_ADAPTERS)
"""The function that makes the adapter of each device kind, by its section of the settings."""


@asynccontextmanager
async def connected_devices(settings: Settings, clock: Clock) -> AsyncIterator[Devices]:
    """Connect all devices of the settings, and disconnect them at the end.

    Raises:
        ConfigurationError: A device cannot be used with these settings.
        DeviceError: A device does not answer.
    """
    connected: dict[str, Device] = {}
    async with AsyncExitStack() as stack:
        # The focuser first: where nothing answers, its error is the one to report.
        for section in sorted(DEVICE_KINDS, key=lambda section: section != "focuser"):
            if getattr(settings, section) is None:
                continue
            device = ADAPTERS[section](settings, clock)
            stack.push_async_callback(device.close)
            await device.connect()
            connected[section] = device
        yield Devices(connected=connected, guider=_guider(settings))


def _guider(settings: Settings) -> Guider | None:
    """Return the guider, not connected: it connects when a run pauses it."""
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
    """Connect all devices for this process alone.

    Raises:
        AlreadyRunning: A daemon with the same storage.directory uses them.
    """
    directory = settings.storage.folder
    with ExitStack() as stack:
        if directory is not None:
            try:
                stack.enter_context(exclusive_lock(lock_path(directory)))
            except AlreadyRunning:
                raise
            except ConfigurationError:
                # No daemon can run in a folder that is not writable; the history reports that error later.
                pass
        async with connected_devices(settings, clock) as devices:
            yield devices
