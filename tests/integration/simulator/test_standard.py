"""alpyca, an independent client, meets the simulated devices as it would real ones."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from alpaca import exceptions as ascom
from alpaca.camera import Camera, CameraStates
from alpaca.device import Device
from alpaca.filterwheel import FilterWheel
from alpaca.focuser import Focuser
from alpaca.observingconditions import ObservingConditions
from alpaca.safetymonitor import SafetyMonitor
from alpaca.telescope import GuideDirections, PierSide, Telescope, TelescopeAxes

from alpaca_focus.simulator.observatory import Observatory

KINDS: dict[type[Device], set[str]] = {
    Camera: {
        "BayerOffsetX",
        "BayerOffsetY",
        "FastReadout",
        "Gains",
        "IsPulseGuiding",
        "Offsets",
        "SubExposureDuration",
    },
    Focuser: set(),
    FilterWheel: set(),
    Telescope: {"DoesRefraction"},
    ObservingConditions: {"SkyBrightness", "SkyTemperature", "WindDirection", "WindGust", "WindSpeed"},
    SafetyMonitor: set(),
}
"""What each device does not implement, which the standard allows."""
NEEDS_SOMETHING_FIRST = {
    "ImageArray": ascom.InvalidOperationException,
    # alpyca's raw reader expects ImageBytes, and reports so instead of the camera's error.
    "ImageArrayRaw": ascom.InvalidValueException,
    "LastExposureDuration": ascom.InvalidOperationException,
    "LastExposureStartTime": ascom.InvalidOperationException,
    "TargetRightAscension": ascom.ValueNotSetException,
    "TargetDeclination": ascom.ValueNotSetException,
}


def connected(kind: type[Any], observatory: Observatory) -> Any:
    device = kind(observatory.address, 0)
    device.Connect()
    while device.Connecting:
        time.sleep(0.01)
    assert device.Connected
    return device


def wait_until(condition: Callable[[], bool]) -> None:
    while not condition():
        time.sleep(0.005)


@pytest.mark.parametrize("kind", KINDS)
def test_every_property_answers_as_the_standard_allows(kind: type[Any], observatory: Observatory) -> None:
    device = connected(kind, observatory)
    names = [name for name in dir(kind) if isinstance(getattr(kind, name), property)]
    assert len(names) > 8
    for name in names:
        if name in KINDS[kind]:
            with pytest.raises(ascom.NotImplementedException):
                getattr(device, name)
        elif name in NEEDS_SOMETHING_FIRST:
            with pytest.raises(NEEDS_SOMETHING_FIRST[name]):
                getattr(device, name)
        else:
            getattr(device, name)


@pytest.mark.parametrize("kind", [Camera, Focuser, FilterWheel, Telescope, ObservingConditions])
def test_a_device_reports_only_its_identity_before_it_is_connected(kind: type[Any], observatory: Observatory) -> None:
    device = kind(observatory.address, 0)
    assert device.Name.startswith("Simulated")
    assert not device.Connected
    with pytest.raises(ascom.NotConnectedException):
        _ = device.DeviceState


def test_a_frame_is_read_with_the_requested_size(observatory: Observatory) -> None:
    camera = connected(Camera, observatory)
    camera.BinX = camera.BinY = 2
    camera.StartX, camera.StartY, camera.NumX, camera.NumY = 10, 20, 120, 100
    camera.StartExposure(20.0, True)
    assert camera.CameraState == CameraStates.cameraExposing
    assert not camera.ImageReady
    wait_until(lambda: camera.ImageReady)
    image = np.array(camera.ImageArray)
    assert image.shape == (120, 100)
    assert image.std() > 0
    assert camera.LastExposureDuration == pytest.approx(20.0)
    assert camera.CameraState == CameraStates.cameraIdle


def test_an_aborted_exposure_leaves_no_frame_and_a_stopped_one_does(observatory: Observatory) -> None:
    camera = connected(Camera, observatory)
    camera.StartExposure(600.0, True)
    camera.AbortExposure()
    assert camera.CameraState == CameraStates.cameraIdle
    assert not camera.ImageReady
    camera.StartExposure(600.0, True)
    camera.StopExposure()
    wait_until(lambda: camera.ImageReady)
    assert camera.LastExposureDuration < 60


def test_the_focuser_moves_in_its_time_and_halts(observatory: Observatory) -> None:
    focuser = connected(Focuser, observatory)
    start = focuser.Position
    focuser.Move(start + 5000)
    assert focuser.IsMoving
    wait_until(lambda: not focuser.IsMoving)
    assert focuser.Position == start + 5000
    focuser.Move(0)
    focuser.Halt()
    assert not focuser.IsMoving
    assert 0 < focuser.Position <= start + 5000


def test_the_wheel_turns(observatory: Observatory) -> None:
    wheel = connected(FilterWheel, observatory)
    assert wheel.Names == ["L", "R", "G", "B", "Ha"]
    assert wheel.FocusOffsets == [0, 12, 8, -9, 25]
    wheel.Position = 4
    assert wheel.Position == -1
    wait_until(lambda: wheel.Position != -1)
    assert wheel.Position == 4


def test_the_mount_slews_flips_and_parks(observatory: Observatory) -> None:
    mount = connected(Telescope, observatory)
    east_of_meridian = (mount.SiderealTime + 1) % 24
    mount.SlewToCoordinatesAsync(east_of_meridian, 20.0)
    assert mount.Slewing
    wait_until(lambda: not mount.Slewing)
    assert mount.Declination == pytest.approx(20.0)
    assert mount.SideOfPier == PierSide.pierWest
    mount.SideOfPier = PierSide.pierEast
    wait_until(lambda: not mount.Slewing)
    assert mount.SideOfPier == PierSide.pierEast
    assert mount.RightAscension == pytest.approx(east_of_meridian)
    before = mount.Declination
    mount.PulseGuide(GuideDirections.guideNorth, 1000)
    assert mount.Declination > before
    mount.MoveAxis(TelescopeAxes.axisSecondary, 1.0)
    assert mount.Slewing
    mount.MoveAxis(TelescopeAxes.axisSecondary, 0.0)
    mount.Park()
    wait_until(lambda: mount.AtPark)
    assert not mount.Tracking
    with pytest.raises(ascom.ParkedException):
        mount.SlewToCoordinatesAsync(1.0, 1.0)
    mount.Unpark()
    mount.Tracking = True
    assert mount.Tracking


REFUSED: list[tuple[type[Any], Callable[[Any], object], type[Exception]]] = [
    (Camera, lambda camera: camera.PulseGuide(GuideDirections.guideNorth, 10), ascom.NotImplementedException),
    (Camera, lambda camera: setattr(camera, "BinX", 99), ascom.InvalidValueException),
    (Camera, lambda camera: setattr(camera, "Gain", -1), ascom.InvalidValueException),
    (Camera, lambda camera: camera.StartExposure(-1.0, True), ascom.InvalidValueException),
    (
        Camera,
        lambda camera: (setattr(camera, "NumX", 9999), camera.StartExposure(1.0, True)),
        ascom.InvalidValueException,
    ),
    (
        Camera,
        lambda camera: (camera.StartExposure(99.0, True), camera.StartExposure(1.0, True)),
        ascom.InvalidOperationException,
    ),
    (Camera, lambda camera: camera.Action("dance", ""), ascom.ActionNotImplementedException),
    (FilterWheel, lambda wheel: setattr(wheel, "Position", 17), ascom.InvalidValueException),
    (Telescope, lambda mount: setattr(mount, "TargetDeclination", 91.0), ascom.InvalidValueException),
    (Telescope, lambda mount: setattr(mount, "DoesRefraction", True), ascom.NotImplementedException),
    (Telescope, lambda mount: mount.SlewToTargetAsync(), ascom.ValueNotSetException),
    (Telescope, lambda mount: mount.CommandBlind("x", True), ascom.NotImplementedException),
    (ObservingConditions, lambda weather: weather.SensorDescription("nonsense"), ascom.InvalidValueException),
]


@pytest.mark.parametrize(("kind", "act", "expected"), REFUSED)
def test_what_cannot_be_done_is_refused_with_the_error_of_the_standard(
    kind: type[Any], act: Callable[[Any], object], expected: type[Exception], observatory: Observatory
) -> None:
    with pytest.raises(expected):
        act(connected(kind, observatory))


def test_the_safety_monitor_reports_the_state_of_the_weather(observatory: Observatory) -> None:
    monitor = SafetyMonitor(observatory.address, 0)
    assert not monitor.IsSafe
    monitor = connected(SafetyMonitor, observatory)
    assert monitor.IsSafe
    observatory.world.weather.safe = False
    assert not monitor.IsSafe
