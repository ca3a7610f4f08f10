"""Devices as they are found on a server, for the tests of `alpaca-focus init`."""

from alpaca_focus.core.device_kinds import (
    DEVICE_KINDS,
    DiscoveredCamera,
    DiscoveredDevice,
    DiscoveredFacts,
    DiscoveredFocuser,
    DiscoveredMount,
    DiscoveredWheel,
)
from alpaca_focus.core.discovered import DiscoveredObservatory, SurveyedServer
from alpaca_focus.setup.first_devices import Answers

SERVER = "192.168.1.20:11111"


def device(kind: str, number: int = 0, name: str = "", unique_id: str = "", server: str = SERVER) -> DiscoveredDevice:
    return DiscoveredDevice(kind=kind, number=number, name=name or f"My {kind}", unique_id=unique_id, server=server)


def server(*kinds: str, address: str = SERVER, unique: bool = False) -> SurveyedServer:
    """A server with these devices, numbered within their types."""
    devices = tuple(
        device(kind, kinds[:index].count(kind), unique_id=f"id-{index}" if unique else "", server=address)
        for index, kind in enumerate(kinds)
    )
    return SurveyedServer(address=address, devices=devices)


CAMERA = DiscoveredCamera(device=device("camera", unique_id="abc"), pixel_size_um=3.76, width_px=6248, height_px=4176)
FOCUSER = DiscoveredFocuser(
    device=device("focuser"), absolute=True, max_step=60000, step_size_um=1.2, temperature_c=8.0
)
WHEEL = DiscoveredWheel(device=device("filterwheel"), filters=("L", "Ha"))
MOUNT = DiscoveredMount(
    device=device("telescope"), focal_length_mm=480.0, aperture_mm=80.0, latitude_deg=47.1, longitude_deg=8.2
)
WEATHER = DiscoveredFacts(device=device("observingconditions"))
SAFETY = DiscoveredFacts(device=device("safetymonitor"))


def observatory(*devices: DiscoveredFacts, server: str = SERVER) -> DiscoveredObservatory:
    """Devices in the order of their kinds."""
    found = {each.device.kind: each for each in devices}
    kinds = DEVICE_KINDS.values()
    in_order = {kind.section: found[kind.alpaca_type] for kind in kinds if kind.alpaca_type in found}
    return DiscoveredObservatory(server=server, devices=in_order)


WHOLE = observatory(CAMERA, FOCUSER, WHEEL, MOUNT, WEATHER, SAFETY)
LEAST = observatory(DiscoveredCamera(device=device("camera")), DiscoveredFocuser(device=device("focuser")))
ANSWERS = Answers(
    name="80 mm",
    focal_length_mm=480.0,
    aperture_mm=80.0,
    central_obstruction=0.0,
    backlash_steps=60,
    exposure_s=3.0,
    way="watch",
    directory="~/runs",
)
