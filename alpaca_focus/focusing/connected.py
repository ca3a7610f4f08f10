"""The devices of one observatory, connected as the settings name them."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from alpaca_focus.core.errors import ConfigurationError, RunsAlready
from alpaca_focus.devices.address import DeviceAddress, parse_address
from alpaca_focus.devices.arrival import ArrivalRules
from alpaca_focus.devices.camera import AlpacaCamera
from alpaca_focus.devices.conditions import AlpacaThermometer
from alpaca_focus.devices.exposure import ExposureRules
from alpaca_focus.devices.filter_wheel import AlpacaFilterWheel
from alpaca_focus.devices.focuser import AlpacaFocuser
from alpaca_focus.devices.mount import AlpacaMount
from alpaca_focus.devices.safety import AlpacaSafetyMonitor
from alpaca_focus.guiding.phd2 import Phd2Guider
from alpaca_focus.ports import Camera, Clock, Device, FilterWheel, Focuser, Guider, Mount, SafetyMonitor, Thermometer
from alpaca_focus.runtime.control_wire import lock_path
from alpaca_focus.runtime.lock import exclusive_lock
from alpaca_focus.settings.models import DeviceSection, Settings

DeviceT = TypeVar("DeviceT", bound=Device)

LEAST_READOUT_S = 60.0
"""A camera has at least so long to read a frame out."""


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


def address_of(section: DeviceSection, settings: Settings) -> DeviceAddress:
    """Return where a device is: on the server that it names, else on that of all devices."""
    return parse_address(section.address or settings.alpaca.address, section.device_number, section.unique_id)


@asynccontextmanager
async def connected_devices(settings: Settings, clock: Clock) -> AsyncIterator[Devices]:
    """Connect all devices that the settings name, and let go of them at the end.

    Raises:
        ConfigurationError: A device cannot be used as the settings say.
        DeviceError: A device does not answer.
    """
    timeout_s = settings.alpaca.timeout_s
    async with AsyncExitStack() as stack:

        async def connect(device: DeviceT) -> DeviceT:
            stack.push_async_callback(device.close)
            await device.connect()
            return device

        async def connect_if_named(section: DeviceSection | None, make: Callable[..., DeviceT]) -> DeviceT | None:
            return (
                None
                if section is None
                else await connect(make(address_of(section, settings), clock, timeout_s=timeout_s))
            )

        yield Devices(
            focuser=await connect(
                AlpacaFocuser(
                    address_of(settings.focuser, settings),
                    clock,
                    lowest=settings.focuser.min_position,
                    highest=settings.focuser.max_position,
                    rules=ArrivalRules(stall_timeout_s=settings.focuser.stall_timeout_s),
                    timeout_s=timeout_s,
                )
            ),
            camera=await connect(
                AlpacaCamera(
                    address_of(settings.camera, settings),
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
    directory = settings.storage.folder
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
