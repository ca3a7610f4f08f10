"""The conditions before a run: safety, the mount, and the quantities that focus depends on."""

from collections.abc import Mapping
from contextlib import suppress

from alpaca_focus.core.errors import DeviceError, RunFailed
from alpaca_focus.run.device_adapters import Devices
from alpaca_focus.run.filter_choice import FilterChoice
from alpaca_focus.run.runner import RunConditions


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

    Args:
        devices: The devices to read.
        filter_choice: Filter and offset.
        also_c: Further temperatures, by name.

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
