"""An imaging program works through the gateway all night, and knows nothing of the focus runs in between."""

import hashlib
import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import requests
from alpaca.camera import Camera, CameraStates
from alpaca.filterwheel import FilterWheel
from alpaca.focuser import Focuser

from alpaca_focus.simulator.simulator_api import truth
from tests.gateway_night import EXPOSURE_S, PATIENCE_S, GatewayNight, Seen, Wanted, gateway_night, is_set, set_up

EXPOSURES = int(os.environ.get("ALPACA_FOCUS_EXPOSURES", "14"))
DECISIONS = int(os.environ.get("ALPACA_FOCUS_DECISIONS", "5"))
GAP_S = 0.01
"""CCDciel starts its next exposure 10 to 20 ms after a download."""
FRAMES_TO_A_FILTER = 7
PROGRAM_GIVES_UP_S = 60.0
"""As N.I.N.A. does, after the end of the exposure."""
POLLED = (
    "camera/0/camerastate",
    "camera/0/imageready",
    "camera/0/percentcompleted",
    "camera/0/ccdtemperature",
    "camera/0/devicestate",
    "camera/0/binx",
    "focuser/0/position",
    "focuser/0/ismoving",
    "focuser/0/devicestate",
    "filterwheel/0/position",
    "telescope/0/devicestate",
)


@contextmanager
def polled(night: GatewayNight) -> Iterator[list[str]]:
    """Poll everything with a second client; yields the replies that are wrong."""
    complaints: list[str] = []
    ended = threading.Event()

    def poll() -> None:
        with requests.Session() as session:
            number = 0
            while not ended.is_set():
                for path in POLLED:
                    number += 1
                    url = f"http://{night.gateway}/api/v1/{path}?ClientID=77&ClientTransactionID={number}"
                    answer = session.get(url, timeout=20)
                    status = answer.json() if answer.status_code == 200 else {}
                    if status.get("ErrorNumber") != 0 or status.get("ClientTransactionID") != number:
                        complaints.append(f"{path}: {answer.status_code} {answer.text}")
                time.sleep(0.05)

    thread = threading.Thread(target=poll)
    thread.start()
    try:
        yield complaints
    finally:
        ended.set()
        thread.join()


def wanted_by(chance: random.Random, camera: Camera) -> Wanted:
    binning = chance.choice([1, 1, 2])
    width, height = camera.CameraXSize // binning, camera.CameraYSize // binning
    left, top = chance.choice([(0, 0), (0, 0), (16, 32)])
    return Wanted(
        binning=binning,
        width=width - 2 * left,
        height=height - 2 * top,
        left=left,
        top=top,
        gain=chance.choice([0, 100]),
        offset=chance.choice([10, 30]),
        mode=chance.choice([0, 1]),
    )


def take(night: GatewayNight, camera: Camera, wanted: Wanted | None) -> np.ndarray:
    """Take one frame as an imaging program does; without `wanted`, as the one before and without another request."""
    if wanted is not None:
        set_up(camera, wanted)
    began_s = time.monotonic()
    camera.StartExposure(EXPOSURE_S, True)
    while not camera.ImageReady:
        waited_s = (time.monotonic() - began_s) * night.factor
        assert waited_s < EXPOSURE_S + PROGRAM_GIVES_UP_S, "the imaging program has given up"
        assert camera.CameraState is not CameraStates.cameraError
        time.sleep(0.01)
    pixels = np.array(camera.ImageArray)
    if wanted is None:
        return pixels
    assert pixels.shape == (wanted.width, wanted.height)
    assert camera.LastExposureDuration == EXPOSURE_S
    assert is_set(camera) == wanted
    return pixels


def disturbed(night: GatewayNight) -> list[tuple[Seen, Seen]]:
    """Return the frames during which the camera got StartExposure, or the focuser Move."""
    commands = [each for each in night.spy.seen if each.member in {"startexposure", "move", "abortexposure"}]
    return [
        (one, other)
        for one, other in pairwise(commands)
        if one in night.spy.exposures(EXPOSURE_S) and other.at_s < one.at_s + EXPOSURE_S
    ]


@pytest.mark.timeout(60 + 5 * EXPOSURES)
def test_an_imaging_program_sees_no_focus_run(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    with gateway_night(tmp_path, seed=seed, triggers={"images": 4, "filter_change": "refocus"}) as night:
        camera, wheel = Camera(night.gateway, 0), FilterWheel(night.gateway, 0)
        camera.Connected = True
        wheel.Connected = True
        seen = set()
        with polled(night) as complaints:
            for number in range(EXPOSURES):
                if number % FRAMES_TO_A_FILTER == FRAMES_TO_A_FILTER - 1:
                    wheel.Position = number // FRAMES_TO_A_FILTER % len(wheel.Names)
                    while wheel.Position == -1:
                        time.sleep(0.01)
                pixels = take(night, camera, wanted_by(chance, camera))
                seen.add(hashlib.sha256(pixels.tobytes()).digest())
        status = night.asked("status")
        camera.Connected = False
    assert complaints == []
    assert len(seen) == EXPOSURES
    assert len(night.spy.exposures(EXPOSURE_S)) == EXPOSURES
    assert disturbed(night) == []
    # A whole curve for each new filter goes on over several gaps.
    assert status["runs_ended"] >= max(1, EXPOSURES // 12), status
    assert status["last_run"]["outcome"] == "focused", status


@pytest.mark.timeout(60 + 5 * DECISIONS)
def test_a_refocus_follows_the_very_image_that_makes_it_due(tmp_path: Path, seed: int) -> None:
    with gateway_night(tmp_path, seed=seed, triggers={"images": 1}) as night:
        camera = Camera(night.gateway, 0)
        camera.Connected = True
        whole = Wanted(1, camera.CameraXSize, camera.CameraYSize, 0, 0, 0, 10, 0)
        set_up(camera, whole)
        for _ in range(DECISIONS + 1):
            take(night, camera, None)
            time.sleep(GAP_S / night.factor)
        begun = [each for each in night.spy.seen if each.member == "startexposure"]
    images = [number for number, each in enumerate(begun) if float(each.form["Duration"]) == EXPOSURE_S]
    in_time = sum(other - one > 1 for one, other in pairwise(images))
    print(f"decided in time: {in_time} of {DECISIONS}")
    assert (in_time, len(images)) == (DECISIONS, DECISIONS + 1)


def test_a_refocus_that_only_test_shots_keep_waiting_is_called_so(tmp_path: Path, seed: int) -> None:
    with gateway_night(tmp_path, seed=seed) as night:
        camera = Camera(night.gateway, 0)
        camera.Connected = True
        camera.Action("refocus", "")
        blocked: list[str] = []
        ends_s = time.monotonic() + PATIENCE_S
        while "only test shots are coming" not in blocked and time.monotonic() < ends_s:
            camera.StartExposure(1.0, True)
            while not camera.ImageReady:
                time.sleep(0.01)
            blocked = night.asked("status")["blocked_by"]
        assert blocked == ["only test shots are coming"]


def test_an_abort_wins_over_a_focus_run(tmp_path: Path, seed: int) -> None:
    with gateway_night(tmp_path, seed=seed) as night:
        camera, focuser = Camera(night.gateway, 0), Focuser(night.gateway, 0)
        camera.Connected = True
        start = focuser.Position
        camera.Action("refocus", "")
        camera.StartExposure(EXPOSURE_S, True)
        night.until(lambda status: status["state"] == "a focus run")
        while focuser.Position == start:
            time.sleep(0.01)
        assert camera.CameraState == CameraStates.cameraWaiting
        assert not camera.ImageReady
        camera.AbortExposure()
        assert camera.CameraState == CameraStates.cameraIdle
        status = night.until(lambda status: status["state"] == "watching")
        assert focuser.Position == start
        assert night.spy.exposures(EXPOSURE_S) == []
        # What was due stays due, and nobody is punished for it.
        assert status["due"]
        assert (status["hold_s"], status["failures"]) == (0, 0)


def test_a_move_of_the_imaging_program_ends_a_run_and_becomes_the_baseline(tmp_path: Path, seed: int) -> None:
    with gateway_night(tmp_path, seed=seed) as night:
        camera, focuser = Camera(night.gateway, 0), Focuser(night.gateway, 0)
        camera.Connected = True
        camera.Action("refocus", "")
        camera.StartExposure(EXPOSURE_S, True)
        night.until(lambda status: status["state"] == "a focus run")
        focuser.Move(24321)
        assert focuser.IsMoving
        while focuser.IsMoving:
            time.sleep(0.01)
        assert focuser.Position == 24321
        status = night.until(lambda status: status["last_focus"] is not None)
        assert status["last_focus"]["position"] == 24321
        while not camera.ImageReady:
            time.sleep(0.01)
        assert len(night.spy.exposures(EXPOSURE_S)) == 1


def test_passing_frames_reveal_a_lost_focus(tmp_path: Path, seed: int) -> None:
    with gateway_night(tmp_path, seed=seed, triggers={"hfd_rise_percent": 20.0, "hfd_frames": 3}) as night:
        camera = Camera(night.gateway, 0)
        camera.Connected = True
        whole = Wanted(1, camera.CameraXSize, camera.CameraYSize, 0, 0, 0, 10, 0)
        camera.Action("refocus", "")
        while night.asked("status")["runs_ended"] == 0:
            take(night, camera, whole)
        for _ in range(3):
            take(night, camera, whole)
        # The tube changes its length, unknown to the daemon.
        night.observatory.world.weather.air_offset_c += 10.0
        # Frames are measured in the background, which may lag behind on a busy computer.
        for _ in range(40):
            take(night, camera, whole)
            if night.asked("status")["runs_ended"] == 2:
                break
        status = night.asked("status")
        assert (status["runs_ended"], status["last_focus"]["trigger"]) == (2, "hfd")
        best = truth(night.observatory.world)["best_position_arriving_in"]
        assert abs(Focuser(night.direct, 0).Position - best) < 40
