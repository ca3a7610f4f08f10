"""The conditions before a run: whether the observatory can focus at all, and what focus depends on."""

from collections.abc import Mapping

from alpaca_focus.core.errors import DeviceError, RunFailed
from alpaca_focus.ports import Mount, Thermometer
from alpaca_focus.run.device_adapters import Devices
from alpaca_focus.run.filter_choice import Way
from alpaca_focus.run.runner import RunConditions


async def ensure_can_focus(devices: Devices) -> None:
    """Check that the observatory is safe and its mount not parked.

    Raises:
        RunFailed: It is not; nothing was moved.
    """
    if devices.safety_monitor is not None and not await devices.safety_monitor.is_safe():
        raise RunFailed(f"{devices.safety_monitor.name} says that the observatory is not safe. Nothing was moved.")
    if devices.mount is not None:
        state = await devices.mount.state()
        if state.parked:
            raise RunFailed(f"{devices.mount.name} is parked. Unpark it and point it at the sky. Nothing was moved.")


async def read_run_conditions(devices: Devices, way: Way, also_c: Mapping[str, float]) -> RunConditions:
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
    return RunConditions(
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
        # The temperature is only learned from: a run can do without it.
        return None


async def _altitude_deg(mount: Mount | None) -> float | None:
    try:
        return None if mount is None else (await mount.state()).altitude_deg
    except DeviceError:
        # As above.
        return None
