"""A focus run that takes turns with the imaging program: whose turn it is, and what an interruption leaves valid."""

from dataclasses import replace

from alpaca_focus.core.errors import AlpacaFocusError
from alpaca_focus.core.night import PierSide
from alpaca_focus.focusing.connected import Devices
from alpaca_focus.focusing.filters import filter_in_light
from alpaca_focus.focusing.one_run import Order
from alpaca_focus.focusing.run_conditions import ensure_can_focus
from alpaca_focus.gateway.service import Gateway
from alpaca_focus.ports import CameraShare
from alpaca_focus.runtime.filtered_share import FilteredShare


async def shared(order: Order, devices: Devices, gateway: Gateway, filter_name: str | None) -> Order:
    """Return a focus run that takes turns with the imaging program.

    Args:
        order: The run.
        devices: Of the observatory.
        gateway: That the imaging program comes through.
        filter_name: Its filter; another one of the run is in the light only while the run has the camera.

    Raises:
        ConfigurationError: The wheel has no such filter.
        DeviceError: The mount does not answer.
    """
    share: CameraShare = gateway.share()
    through, wheel = order.way.filter_name, devices.filter_wheel
    if wheel is not None and through is not None and filter_name is not None and through != filter_name:
        share = FilteredShare(share, wheel, name=through, back_to=filter_name)
    side = await _pier_side(devices)

    async def still_valid() -> str:
        try:
            await ensure_can_focus(devices)
            side_now, filter_now = await _pier_side(devices), await filter_in_light(devices)
        except AlpacaFocusError as error:
            return str(error)
        if side_now is not side:
            return "The mount has flipped to the other side of the pier."
        # While the run has the camera its own filter is in the light.
        if filter_now not in {through, filter_name}:
            return f"The filter is {filter_now} now."
        return ""

    return replace(order, share=share, still_valid=still_valid)


async def _pier_side(devices: Devices) -> PierSide:
    return PierSide.UNKNOWN if devices.mount is None else (await devices.mount.state()).pier_side
