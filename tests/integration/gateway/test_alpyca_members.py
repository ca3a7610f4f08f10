"""Every member of alpyca's classes, called directly and through the gateway: the same value or the same exception."""

import inspect
import math
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest
from alpaca.camera import Camera
from alpaca.device import Device
from alpaca.filterwheel import FilterWheel
from alpaca.focuser import Focuser
from alpaca.telescope import GuideDirections, PierSide, Telescope, TelescopeAxes

from alpaca_focus.gateway.engine import ACTIONS
from alpaca_focus.simulator.observatory import Observatory
from alpaca_focus.simulator.settings import ObservatorySettings
from tests.integration.conftest import SMALL

CLASSES: tuple[type[Device], ...] = (Camera, Focuser, FilterWheel, Telescope)
COMMON_CALLS: dict[str, tuple[Any, ...]] = {
    "Action": ("Dance", "a=1&b=ü"),
    "CommandBlind": ("x y&z", True),
    "CommandBool": ("x", False),
    "CommandString": ("", True),
    "Connect": (),
    "Disconnect": (),
}
CALLS: dict[type[Device], dict[str, tuple[Any, ...]]] = {
    Camera: COMMON_CALLS
    | {
        "AbortExposure": (),
        "PulseGuide": (GuideDirections.guideNorth, 10),
        "StartExposure": (0.01, True),
        "StopExposure": (),
    },
    Focuser: COMMON_CALLS | {"Halt": (), "Move": (26100,)},
    FilterWheel: COMMON_CALLS,
    Telescope: COMMON_CALLS
    | {
        "AbortSlew": (),
        "AxisRates": (TelescopeAxes.axisPrimary,),
        "CanMoveAxis": (TelescopeAxes.axisSecondary,),
        "DestinationSideOfPier": (5.0, 41.0),
        "FindHome": (),
        "MoveAxis": (TelescopeAxes.axisPrimary, 0.5),
        "Park": (),
        "PulseGuide": (GuideDirections.guideWest, 10),
        "SetPark": (),
        "SlewToAltAz": (180.0, 50.0),
        "SlewToAltAzAsync": (180.0, 50.0),
        "SlewToCoordinates": (5.0, 41.0),
        "SlewToCoordinatesAsync": (5.0, 41.0),
        "SlewToTarget": (),
        "SlewToTargetAsync": (),
        "SyncToAltAz": (180.0, 50.0),
        "SyncToCoordinates": (5.0, 41.0),
        "SyncToTarget": (),
        "Unpark": (),
    },
}
WRITES: dict[type[Device], dict[str, tuple[Any, ...]]] = {
    Camera: {
        "BinX": (2, 99),
        "BinY": (2,),
        "Connected": (True, False),
        "CoolerOn": (True,),
        "FastReadout": (True,),
        "Gain": (50, -5),
        "NumX": (100,),
        "NumY": (100,),
        "Offset": (20,),
        "ReadoutMode": (0, 77),
        "SetCCDTemperature": (-10.0, -500.0),
        "StartX": (8,),
        "StartY": (8,),
        "SubExposureDuration": (1.5,),
    },
    Focuser: {"Connected": (True, False), "TempComp": (True,)},
    FilterWheel: {"Connected": (True, False), "Position": (1, 99)},
    Telescope: {
        "Connected": (True, False),
        "DeclinationRate": (0.25,),
        "DoesRefraction": (True,),
        "GuideRateDeclination": (0.002,),
        "GuideRateRightAscension": (0.002,),
        "RightAscensionRate": (0.25,),
        "SideOfPier": (PierSide.pierEast,),
        "SiteElevation": (1234.5,),
        "SiteLatitude": (-33.5, 95.0),
        "SiteLongitude": (18.25,),
        "SlewSettleTime": (2,),
        "TargetDeclination": (41.0, -99.0),
        "TargetRightAscension": (5.0,),
        "Tracking": (True, False),
        "TrackingRate": (0, 1),
        "UTCDate": (datetime(2026, 3, 4, 5, 6, 7),),  # noqa: DTZ001 - alpyca takes naive ones for UTC
    },
}


def properties(kind: type[Device], *, writable: bool = False) -> list[str]:
    found = inspect.getmembers(kind, lambda member: isinstance(member, property))
    return [name for name, member in found if member.fset is not None or not writable]


def methods(kind: type[Device]) -> list[str]:
    return [name for name, _ in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")]


@pytest.mark.parametrize("kind", CLASSES)
def test_no_member_is_forgotten(kind: type[Device]) -> None:
    assert set(CALLS[kind]) == set(methods(kind))
    assert set(WRITES[kind]) == set(properties(kind, writable=True))


class Pair:
    """Two identical observatories, one used directly, one through a gateway."""

    def __init__(self, stack: ExitStack, seed: int, gateway_to: Callable[..., Any], **changes: Any) -> None:
        settings = ObservatorySettings(seed=seed).model_copy(update=SMALL | changes)
        direct, behind = (stack.enter_context(Observatory(settings).start()) for _ in range(2))
        self.addresses = (direct.address, gateway_to(behind.address).address)
        self._stack = stack

    def clients(self, kind: type[Device], *, connected: bool = True) -> list[Any]:
        clients = [kind(address, 0, "http") for address in self.addresses]
        for client in clients:
            self._stack.callback(client.rqs.close)
            if connected:
                client.Connected = True
        return clients


@pytest.fixture
def pair_of(seed: int, gateway_to: Callable[..., Any]) -> Iterator[Callable[..., Pair]]:
    with ExitStack() as stack:
        yield lambda **changes: Pair(stack, seed, gateway_to, **changes)


def outcome(call: Callable[[], Any]) -> Any:
    """Return what a call gives, or what it raises; without the URL, which cannot be the same."""
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - whatever it is, it has to be the same
        text = re.sub(r" \(URL .*\)", "", str(getattr(error, "message", error)))
        return type(error), getattr(error, "number", None), re.sub(r"port=\d+|0x[0-9a-f]{6,}", "", text)


def alike(one: Any, other: Any) -> bool:
    """Tell whether two answers are the same but for the time between them."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return math.isclose(one, other, rel_tol=0.02, abs_tol=0.5) or (math.isnan(one) and math.isnan(other))
    if isinstance(one, datetime):
        return abs(one - other) < timedelta(seconds=30)
    if isinstance(one, dict):
        return one.keys() == other.keys() and (
            one.get("Name") in {"TimeStamp", "UTCDate"}
            or all(alike(one[key], other[key]) for key in one if key != "ClientTransactionID")
        )
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(alike, one, other))
    if type(one).__name__ in {"Rate", "ImageMetadata"}:
        return alike(vars(one), {**vars(other)})
    return bool(one == other)


@pytest.mark.parametrize("connected", [True, False])
@pytest.mark.parametrize("kind", CLASSES)
def test_every_property_reads_the_same(pair_of: Callable[..., Pair], kind: type[Device], connected: bool) -> None:
    clients = pair_of(time_factor=1.0).clients(kind, connected=connected)
    different = {}
    values = 0
    for name in properties(kind):
        one, other = (outcome(lambda client=client, name=name: getattr(client, name)) for client in clients)
        values += not isinstance(one, tuple)
        if not alike(one, other):
            different[name] = (one, other)
    # Its own actions are all that it adds.
    assert different == {"SupportedActions": ([], list(ACTIONS))}
    assert values > 5


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in CLASSES for name in WRITES[kind]])
def test_every_property_is_written_the_same(pair_of: Callable[..., Pair], kind: type[Device], name: str) -> None:
    clients = pair_of(time_factor=1.0).clients(kind)
    for value in WRITES[kind][name]:
        one, other = (outcome(lambda client=client, value=value: setattr(client, name, value)) for client in clients)
        assert alike(one, other), (value, one, other)
        one, other = (outcome(lambda client=client: getattr(client, name)) for client in clients)
        assert alike(one, other), (value, one, other)


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in CLASSES for name in CALLS[kind]])
def test_every_method_does_the_same(pair_of: Callable[..., Pair], kind: type[Device], name: str) -> None:
    clients = pair_of(time_factor=1000.0).clients(kind)
    for connected in (True, False):
        one, other = (outcome(lambda client=client: getattr(client, name)(*CALLS[kind][name])) for client in clients)
        assert alike(one, other), (connected, one, other)
        for client in clients:
            client.Connected = False


def test_an_exposure_through_the_gateway_gives_the_same_frame(pair_of: Callable[..., Pair]) -> None:
    clients = pair_of().clients(Camera)
    frames = []
    for client in clients:
        client.BinX = client.BinY = 2
        client.StartX, client.StartY, client.NumX, client.NumY = 16, 8, 120, 90
        client.StartExposure(1.0, True)
        while not client.ImageReady:
            pass
        frames.append(np.array(client.ImageArray))
        assert client.ImageArrayInfo.Rank == 2
    assert frames[0].shape == frames[1].shape == (120, 90)
    assert frames[0].dtype == frames[1].dtype
