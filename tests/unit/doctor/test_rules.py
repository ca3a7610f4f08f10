"""The rules of the doctor: for each, facts that pass and facts that do not."""

from collections.abc import Sequence
from dataclasses import is_dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from importlib import import_module
from inspect import iscoroutinefunction
from pkgutil import iter_modules
from typing import Any, get_type_hints

import pytest

from alpaca_focus import doctor
from alpaca_focus.core.night.state import PierSide
from alpaca_focus.core.sweep.backlash import Direction, Limits
from alpaca_focus.devices.connection import Connection
from alpaca_focus.doctor.camera_checks import (
    CameraFacts,
    CoolerFacts,
    FrameFacts,
    Scale,
    check_camera,
    check_frame,
)
from alpaca_focus.doctor.checks import Check, CheckOutcome, Subject, split_remedy, worst
from alpaca_focus.doctor.computer_checks import (
    ComputerFacts,
    StorageFacts,
    check_computer,
    check_storage,
    check_time_zone,
)
from alpaca_focus.doctor.conditions_checks import ThermometerFacts, check_safety, check_thermometer
from alpaca_focus.doctor.focuser_checks import (
    FocuserFacts,
    check_focuser,
    check_trial_move,
    trial_move_steps,
    trial_move_target,
)
from alpaca_focus.doctor.mount_checks import MountFacts, check_mount
from alpaca_focus.doctor.probe_context import ProbeContext
from alpaca_focus.doctor.program_checks import (
    DaemonFacts,
    Holder,
    PortState,
    check_broker,
    check_daemon,
    check_guider,
    check_port,
    check_services,
)
from alpaca_focus.doctor.server_checks import Reachability, ServerFacts, check_server
from alpaca_focus.doctor.settings_checks import check_settings
from alpaca_focus.doctor.wheel_checks import WheelFacts, check_wheel
from alpaca_focus.ports import CameraInfo
from alpaca_focus.run.nudge import NudgeResult
from alpaca_focus.settings.models import FocusSection, Settings

OK, NOTE, FAILS, NOT_TRIED = CheckOutcome.OK, CheckOutcome.NOTE, CheckOutcome.FAILS, CheckOutcome.NOT_TRIED


def named(checks: Sequence[Check], name: str) -> Check:
    (check,) = [each for each in checks if each.name == name]
    return check


def assert_check(checks: Sequence[Check], name: str, outcome: CheckOutcome, words: str) -> None:
    """Assert a check's outcome and words, and that it has a remedy if and only if something needs doing."""
    check = named(checks, name)
    assert check.outcome is outcome, check
    assert words in f"{check.seen} {check.remedy}", check
    assert bool(check.remedy) is (outcome in {NOTE, FAILS}), check


@pytest.mark.parametrize(
    ("message", "seen", "remedy"),
    [
        ("It is dead. Press the button.", "It is dead.", "Press the button."),
        (
            'It refused Move(5): "Too far. Really." (Alpaca error 0x401). Check the limits, or e.g. the cable.',
            'It refused Move(5): "Too far. Really." (Alpaca error 0x401).',
            "Check the limits, or e.g. the cable.",
        ),
        (
            "Nothing answers at 10.0.0.7:11111: no route. Is it on?",
            "Nothing answers at 10.0.0.7:11111: no route.",
            "Is it on?",
        ),
        ("It is dead.", "It is dead.", "Do something."),
    ],
)
def test_the_last_sentence_of_an_error_is_its_remedy(message: str, seen: str, remedy: str) -> None:
    assert split_remedy(message, "Do something.") == (seen, remedy)


def test_a_skipped_check_does_not_count_for_the_worst_outcome() -> None:
    subject = Subject("camera")
    well, hint = subject.ok("a", "b"), subject.note("a", "b", "c")
    assert worst([]) is OK
    assert worst([well, subject.not_tried("a", "b")]) is OK
    assert worst([hint, well]) is NOTE
    assert worst([hint, subject.fails("a", "b", "c"), well]) is FAILS


SERVER = ServerFacts(
    address="pi:11111",
    reachability=Reachability.ANSWERS,
    round_trips_s=(0.001, 0.002, 0.4),
    versions=(1,),
    description="Server 2, by somebody",
    devices='camera 0 "Cam"',
)


@pytest.mark.parametrize(
    ("changes", "name", "outcome", "words"),
    [
        ({}, "reachable", OK, "by somebody"),
        ({}, "latency", OK, "2.0 ms a request, 400 ms at most, in 3"),
        ({}, "management", OK, 'camera 0 "Cam"'),
        ({"description": ""}, "reachable", OK, "without reporting a name"),
        ({"round_trips_s": (0.3, 0.3, 0.1)}, "latency", NOTE, "slow"),
        ({"round_trips_s": (0.001, 0.001), "lost": 2}, "latency", NOTE, "2 more had no answer"),
        ({"round_trips_s": (), "lost": 2}, "latency", FAILS, "hangs"),
        ({"versions": None}, "management", NOTE, "device_number"),
        ({"versions": (2, 3)}, "management", FAILS, "2, 3"),
        ({"reachability": Reachability.NO_NAME}, "reachable", FAILS, "name has no address"),
        ({"reachability": Reachability.REFUSED}, "reachable", FAILS, "nothing listens"),
        ({"reachability": Reachability.SILENT}, "reachable", FAILS, "within 5 s"),
        ({"reachability": Reachability.NO_ROUTE, "detail": "no route to host"}, "reachable", FAILS, "no route to host"),
        ({"reachability": Reachability.NO_HTTP}, "reachable", FAILS, "not over HTTP"),
        ({"reachability": Reachability.SILENT}, "latency", NOT_TRIED, "does not answer"),
        ({"reachability": Reachability.SILENT}, "management", NOT_TRIED, "does not answer"),
    ],
)
def test_servers(changes: dict[str, object], name: str, outcome: CheckOutcome, words: str) -> None:
    assert_check(check_server(replace(SERVER, **changes)), name, outcome, words)


PLAIN = {"focus": FocusSection(exposure_s=3.0)}
HA = {"focus.filters.Ha": FocusSection(exposure_s=8.0, binning=2, gain=100, offset=20)}
CAMERA = CameraFacts(
    info=CameraInfo(
        sensor_width_px=6248,
        sensor_height_px=4176,
        pixel_size_um=3.76,
        max_adu=65535,
        max_binning=4,
        exposure_min_s=0.001,
        exposure_max_s=3600.0,
        can_abort=True,
        bayer=False,
    ),
    set_pixel_um=None,
    gain=Scale(now=0, lowest=0, highest=400),
    offset=Scale(now=10, lowest=0, highest=200),
    cooler=CoolerFacts(on=True, temperature_c=-9.8, target_c=-10.0, power_percent=42.0),
    requested=PLAIN | HA,
)


@pytest.mark.parametrize(
    ("changes", "name", "outcome", "words"),
    [
        ({}, "sensor", OK, "6248 x 4176 pixels of 3.76 um (reported)"),
        ({"set_pixel_um": 3.76}, "sensor", OK, "3.76"),
        ({"pixel_size_um": None, "set_pixel_um": 5.0}, "sensor", OK, "5 um (of the settings)"),
        ({"set_pixel_um": 5.0}, "sensor", NOTE, "camera.pixel_size_um is 5 um"),
        ({"pixel_size_um": None}, "sensor", FAILS, "set camera.pixel_size_um"),
        ({"bayer": True}, "sensor", OK, "colour"),
        ({}, "exposure", OK, "requested: 3, 8 s"),
        ({"exposure_max_s": 5.0}, "exposure", FAILS, "focus.filters.Ha.exposure_s requests 8 s"),
        ({"exposure_min_s": 4.0, "exposure_max_s": float("inf")}, "exposure", FAILS, "focus.exposure_s"),
        ({}, "binning", OK, "up to 4; requested: 1, 2"),
        ({"max_binning": 1}, "binning", FAILS, "focus.filters.Ha.binning requests 2"),
        ({}, "gain", OK, "0, range 0 to 400; requested: 100"),
        ({"requested": PLAIN}, "gain", OK, "unchanged"),
        ({"gain": Scale()}, "gain", FAILS, "has no gain"),
        ({"gain": Scale(), "requested": PLAIN}, "gain", OK, "none"),
        ({"gain": Scale(now=1, lowest=0, highest=3)}, "gain", FAILS, "0 to 3"),
        ({"gain": Scale(now=1)}, "gain", OK, "any"),
        ({"offset": Scale(now=30, lowest=25, highest=50)}, "offset", FAILS, "focus.filters.Ha.offset requests 20"),
        ({}, "cooler", OK, "42 %"),
        ({"cooler": CoolerFacts()}, "cooler", OK, "none"),
        ({"cooler": CoolerFacts(on=False, temperature_c=12.0)}, "cooler", OK, "off; the sensor is at 12.0"),
        ({"cooler": CoolerFacts(on=True, temperature_c=5.0, target_c=-10.0)}, "cooler", NOTE, "the target is -10.0"),
        ({"cooler": CoolerFacts(on=True, temperature_c=5.0)}, "cooler", OK, "on"),
    ],
)
def test_cameras(changes: dict[str, object], name: str, outcome: CheckOutcome, words: str) -> None:
    of_info = {field: value for field, value in changes.items() if hasattr(CAMERA.info, field)}
    others = {field: value for field, value in changes.items() if field not in of_info}
    camera = replace(CAMERA, info=replace(CAMERA.info, **of_info), **others)
    assert_check(check_camera(camera), name, outcome, words)


FRAME = FrameFacts(
    width_px=640,
    height_px=512,
    frame_bytes=655_360,
    exposure_s=0.001,
    dark=True,
    download_s=0.5,
    timeout_s=60.0,
    encoding="ImageBytes",
    lowest_adu=80.0,
    median_adu=100.0,
    highest_adu=130.0,
    saturation_adu=65535.0,
)


@pytest.mark.parametrize(
    ("changes", "name", "outcome", "words"),
    [
        ({}, "download", OK, "0.7 MB in 0.50 s, 1.3 MB/s as ImageBytes"),
        ({"encoding": ""}, "download", OK, "MB/s"),
        ({"encoding": "JSON"}, "download", NOTE, "slow"),
        ({"download_s": 40.0}, "download", NOTE, "camera.download_timeout_s"),
        ({}, "frame", OK, "80 to 130 ADU, median 100"),
        ({"lowest_adu": 0.0, "highest_adu": 0.0}, "frame", FAILS, "all pixels are zero"),
        ({"lowest_adu": 65535.0, "highest_adu": 65535.0}, "frame", FAILS, "saturated"),
        ({"lowest_adu": 65535.0, "highest_adu": 65535.0, "dark": False}, "frame", NOTE, "by day"),
        ({"lowest_adu": 7.0, "highest_adu": 7.0}, "frame", NOTE, "all pixels are 7 ADU"),
    ],
)
def test_frames(changes: dict[str, object], name: str, outcome: CheckOutcome, words: str) -> None:
    assert_check(check_frame(replace(FRAME, **changes)), name, outcome, words)


FOCUSER = FocuserFacts(
    absolute=True,
    position=5000,
    max_step=10000,
    min_position=None,
    max_position=None,
    reported_step_um=1.0,
    set_step_um=None,
    temperature_c=8.5,
    temperature_needed=True,
    device_compensates=False,
    we_compensate=True,
)


@pytest.mark.parametrize(
    ("changes", "name", "outcome", "words"),
    [
        ({}, "position", OK, "at 5000"),
        ({"moving": True}, "position", OK, "moving"),
        ({"min_position": 6000}, "position", FAILS, "outside the limits 6000 to 10000"),
        ({"min_position": 6000}, "position", FAILS, "widen focuser.min_position"),
        ({"position": -3750}, "position", FAILS, "correct its zero or its range of 0 to 10000 in its own server"),
        ({"max_position": 4000}, "position", FAILS, "0 to 4000"),
        ({"position": 10001}, "position", FAILS, "0 to 10000"),
        ({"restore_position": 4000}, "position", NOTE, "had started at 4000"),
        ({"restore_position": 5000}, "position", OK, "5000"),
        ({}, "limits", OK, "0 to 10000"),
        ({"max_position": 20000}, "limits", NOTE, "focuser.max_position is 20000"),
        ({"min_position": 10000}, "limits", FAILS, "10000 to 10000"),
        ({}, "step size", OK, "1 um"),
        ({"reported_step_um": None}, "step size", NOTE, "focuser.step_size_um"),
        ({"set_step_um": 2.0}, "step size", NOTE, "2 um"),
        ({}, "temperature", OK, "8.5 deg C"),
        ({"temperature_c": None}, "temperature", FAILS, "thermometer.source"),
        ({"temperature_c": None, "temperature_needed": False}, "temperature", OK, "none is needed"),
        ({}, "compensation", OK, "off"),
        ({"device_compensates": True}, "compensation", NOTE, "both compensate"),
        ({"device_compensates": True, "we_compensate": False}, "compensation", NOTE, "a focus run switches"),
    ],
)
def test_focusers(changes: dict[str, object], name: str, outcome: CheckOutcome, words: str) -> None:
    assert_check(check_focuser(replace(FOCUSER, **changes)), name, outcome, words)


def test_a_relative_focuser_fails() -> None:
    assert_check(check_focuser(FocuserFacts(absolute=False)), "positions", FAILS, "relative")


@pytest.mark.parametrize(("zone", "steps"), [(None, 10), (67.0, 34), (1.0, 4), (5000.0, 100)])
def test_a_trial_move_is_half_the_critical_focus_zone(zone: float | None, steps: int) -> None:
    assert trial_move_steps(zone) == steps


@pytest.mark.parametrize(
    ("here", "arrive", "target"),
    [
        (500, Direction.IN, 510),
        (500, Direction.OUT, 490),
        (995, Direction.IN, 985),
        (105, Direction.OUT, 115),
    ],
)
def test_a_trial_move_goes_against_the_arrival_if_there_is_room(here: int, arrive: Direction, target: int) -> None:
    assert trial_move_target(here, 10, Limits(lowest=100, highest=1000), arrive) == target


def test_there_is_no_trial_move_without_room() -> None:
    assert trial_move_target(5, 10, Limits(lowest=0, highest=12), Direction.IN) is None


NUDGE = NudgeResult(start=500, reached=510, ended_at=500, lasted_s=2.0)


@pytest.mark.parametrize(
    ("changes", "outcome", "words", "is_stranded"),
    [
        ({}, OK, "from 500 to 510 and back to 500", False),
        ({"ended_at": 501}, OK, "501", False),
        ({"reached": None}, NOT_TRIED, "aborted; it is back at 500", False),
        ({"ended_at": 507, "return_problem": "It is stuck."}, FAILS, "Move it to 500 by hand", True),
        ({"ended_at": None}, FAILS, "its position is unknown", True),
        ({"reached": None, "problem": "It stalls. Oil it."}, FAILS, "It is back at 500. Oil it.", False),
    ],
)
def test_trial_moves(changes: dict[str, object], outcome: CheckOutcome, words: str, *, is_stranded: bool) -> None:
    facts = replace(NUDGE, **changes)
    assert_check([check_trial_move(facts)], "move", outcome, words)
    assert facts.is_stranded is is_stranded


WHEEL = WheelFacts(names=("L", "R", "Ha"), slot=2, requested={"focus.filters": ["Ha"]})


@pytest.mark.parametrize(
    ("changes", "name", "outcome", "words"),
    [
        ({}, "names", OK, "L, R, Ha"),
        ({"names": ()}, "names", FAILS, "Name the filters"),
        ({"names": ("L", " ", "Ha")}, "names", FAILS, "Name the filters"),
        ({"names": ("L", "L", "Ha")}, "names", FAILS, "L occurs twice"),
        ({"requested": {"focus.filters": ["ha", "L"]}}, "names", FAILS, "focus.filters names ha,"),
        ({}, "position", OK, "slot 2: Ha is the current filter"),
        ({"slot": None}, "position", NOTE, "turning"),
    ],
)
def test_wheels(changes: dict[str, object], name: str, outcome: CheckOutcome, words: str) -> None:
    assert_check(check_wheel(replace(WHEEL, **changes)), name, outcome, words)


AT = datetime(2026, 1, 15, 20, tzinfo=UTC)
MOUNT = MountFacts(
    tracking=True,
    parked=False,
    pier_side=PierSide.WEST,
    right_ascension_h=5.5,
    declination_deg=-5.4,
    altitude_deg=40.0,
    clock=AT,
    clock_ahead_s=0.4,
    site_deg=(47.0, 8.0),
    set_site_deg=(47.1, 7.9),
)


@pytest.mark.parametrize(
    ("changes", "name", "outcome", "words"),
    [
        ({}, "state", OK, "tracking, pier side west"),
        ({"is_idle": True}, "state", NOTE, "neither slew, track nor park"),
        ({"parked": True, "tracking": False}, "state", OK, "parked, not tracking"),
        ({"tracking": None}, "state", OK, "does not report whether it tracks"),
        ({"pier_side": PierSide.UNKNOWN}, "state", OK, "does not report its pier side"),
        ({"pier_side": PierSide.UNKNOWN, "pier_side_needed": True}, "state", NOTE, "meridian flip"),
        ({}, "pointing", OK, "RA 5.500 h, Dec -5.40 deg, altitude 40.0 deg"),
        ({"altitude_deg": None, "altitude_needed": True}, "pointing", FAILS, "altitude"),
        ({"altitude_deg": None}, "pointing", OK, "RA"),
        ({}, "clock", OK, "within 0.4 s"),
        ({"clock_ahead_s": 90.0}, "clock", NOTE, "90 s ahead of this computer"),
        ({"clock_ahead_s": -7200.0}, "clock", NOTE, "2 hours behind this computer"),
        ({"clock": None, "clock_ahead_s": None}, "clock", OK, "does not report its time"),
        ({}, "site", OK, "as in the settings"),
        ({"set_site_deg": (47.0, -8.0)}, "site", NOTE, "8.00 west"),
        ({"site_deg": (47.0, 179.9), "set_site_deg": (47.0, -179.9)}, "site", OK, "as in the settings"),
        ({"set_site_deg": None}, "site", OK, "47.00 north, 8.00 east"),
        ({"site_deg": None}, "site", OK, "does not report its site"),
    ],
)
def test_mounts(changes: dict[str, object], name: str, outcome: CheckOutcome, words: str) -> None:
    assert_check(check_mount(replace(MOUNT, **changes)), name, outcome, words)


@pytest.mark.parametrize(
    ("facts", "outcome", "words"),
    [
        (ThermometerFacts(temperature_c=-3.25, age_s=12.0, needed=True), OK, "-3.2 deg C, 12 s old"),
        (ThermometerFacts(temperature_c=1.0, age_s=None, needed=True), OK, "1.0 deg C"),
        (ThermometerFacts(temperature_c=1.0, age_s=3600.0, needed=True), NOTE, "60 minutes old"),
        (ThermometerFacts(temperature_c=None, age_s=None, needed=True, why_none="it is gone"), FAILS, "it is gone"),
        (ThermometerFacts(temperature_c=None, age_s=None, needed=False), NOTE, "remove it"),
    ],
)
def test_thermometers(facts: ThermometerFacts, outcome: CheckOutcome, words: str) -> None:
    assert_check([check_thermometer(Subject("weather station"), facts)], "temperature", outcome, words)


def test_safety_and_guider() -> None:
    assert_check([check_safety(is_safe=True)], "state", OK, "safe")
    assert_check([check_safety(is_safe=False)], "state", NOTE, "not safe")
    assert_check([check_guider("Guiding")], "state", OK, "Guiding")
    assert_check([check_guider("LostLock")], "state", NOTE, "lost its star")


@pytest.mark.parametrize(
    ("facts", "outcome", "words", "read_only"),
    [
        (DaemonFacts(holder=Holder.NOBODY), OK, "storage.directory", False),
        (DaemonFacts(holder=Holder.NOBODY, directory="/n"), OK, "no daemon runs with /n", False),
        (DaemonFacts(holder=Holder.DAEMON, state="watching"), OK, "runs: watching. The daemon holds", True),
        (DaemonFacts(holder=Holder.DAEMON, problem="It is silent. See its log."), FAILS, "See its log.", True),
        (DaemonFacts(holder=Holder.COMMAND), NOTE, "another alpaca-focus command", True),
        (DaemonFacts(holder=Holder.UNKNOWN, problem="this user may not read /n"), NOTE, "as the user", True),
    ],
)
def test_daemons(facts: DaemonFacts, outcome: CheckOutcome, words: str, *, read_only: bool) -> None:
    assert_check([check_daemon(facts)], "state", outcome, words)
    assert bool(facts.holder.value) is read_only


@pytest.mark.parametrize(
    ("state", "daemon_runs", "outcome", "words"),
    [
        (PortState.FREE, False, OK, "is free"),
        (PortState.FREE, True, NOTE, "although the daemon runs"),
        (PortState.TAKEN, False, FAILS, "choose another web.port"),
        (PortState.TAKEN, True, OK, "as it should be"),
        (PortState.NO_ADDRESS, False, FAILS, "web.listen"),
        (PortState.FORBIDDEN, False, FAILS, "above 1023"),
    ],
)
def test_ports(state: PortState, outcome: CheckOutcome, words: str, *, daemon_runs: bool) -> None:
    check = check_port(Subject("dashboard"), "web", "127.0.0.1:11180", state, daemon_runs=daemon_runs)
    assert_check([check], "port", outcome, words)


def test_messages_and_the_broker() -> None:
    assert_check([check_services([("service 1 (ntfy)", True)])], "services", OK, "notify-test")
    assert_check(
        [check_services([("service 1 (ntfy)", True), ("service 2", False)])], "services", FAILS, ": service 2 "
    )
    assert_check([check_services([])], "services", NOTE, "none is named")
    assert_check([check_broker("pi:1883", "", user=None)], "broker", OK, "without a user name")
    assert_check([check_broker("pi:1883", "", user="me")], "broker", OK, "as me")
    assert_check([check_broker("pi:1883", "It refuses. Look at mqtt.user.", user="me")], "broker", FAILS, "mqtt.user")


COMPLETE: dict[str, Any] = {
    "telescope": {"name": "a refractor", "focal_length_mm": 530, "aperture_mm": 106},
    "storage": {"directory": "/runs"},
    "focuser": {
        "min_position": 100,
        "max_position": 900,
        "backlash": {"steps": 20},
        "temperature_coefficient_steps_per_c": -12.5,
    },
    "triggers": {"minutes": 60.0},
    "site": {"latitude_deg": 47.0, "longitude_deg": 8.0},
    "web": {"token": "a-long-enough-secret"},
}


def checks_of(changes: dict[str, Any], *, misplaced: Sequence[str] = (), is_public: bool = False) -> tuple[Check, ...]:
    return check_settings("n.yaml", Settings.model_validate(COMPLETE | changes), misplaced, is_public=is_public)


def test_complete_settings_get_one_line() -> None:
    (check,) = checks_of({})
    assert (check.outcome, check.seen) == (OK, "n.yaml is valid: a refractor")


@pytest.mark.parametrize(
    "triggers",
    [
        {"temperature_c": 1.0},
        {"temperature_zones": 0.5},
        {"images": 5},
        {"meridian_flip": True},
        {"filter_change": "offset"},
        {"uncertainty_zones": 0.5},
    ],
)
def test_any_trigger_is_enough(triggers: dict[str, Any]) -> None:
    assert len(checks_of({"triggers": triggers})) == 1


@pytest.mark.parametrize(
    ("changes", "name", "outcome", "words"),
    [
        ({"storage": {}}, "history", NOTE, "storage.directory"),
        ({"focuser": {"backlash": {"steps": 20}}}, "limits", NOTE, "focuser.min_position"),
        ({"focuser": {}}, "backlash", NOTE, "calibrate backlash"),
        ({"triggers": {}}, "triggers", NOTE, "refocus"),
        ({"triggers": {"altitude_deg": 20}}, "contradiction", FAILS, "Set mount"),
    ],
)
def test_settings(changes: dict[str, Any], name: str, outcome: CheckOutcome, words: str) -> None:
    assert_check(checks_of(changes), name, outcome, words)


def test_a_site_is_needed_for_the_sun_alone() -> None:
    without = {name: section for name, section in COMPLETE.items() if name != "site"}
    sunless = without | {"night": {"sun_altitude_deg": None}}
    for sections, count in ((without, 2), (sunless, 1)):
        checks = check_settings("n.yaml", Settings.model_validate(sections), (), is_public=False)
        assert len(checks) == count
    assert_check(
        check_settings("n.yaml", Settings.model_validate(without), (), is_public=False),
        "site",
        NOTE,
        "site.latitude_deg",
    )


def test_misplaced_paths_and_public_secrets_are_noted() -> None:
    assert_check(checks_of({}, misplaced=["A is at B. Move it."]), "path", NOTE, "A is at B. Move it.")
    secret = {"mqtt": {"password": "secret"}}
    assert_check(checks_of(secret, is_public=True), "permissions", NOTE, "mqtt.password, web.token")
    assert len(checks_of({"web": {}}, is_public=True)) == 1


COMPUTER = ComputerFacts(
    now=AT,
    synchronised=True,
    clock_error_s=0.002,
    available_bytes=3_000_000_000,
    total_bytes=4_000_000_000,
    hottest_c=51.2,
    undervoltage=False,
    table_date=AT - timedelta(days=100),
    versions=("alpaca-focus 1", "Python 3"),
)


@pytest.mark.parametrize(
    ("changes", "name", "outcome", "words"),
    [
        ({}, "clock", OK, "synchronised, within 0.002 s"),
        ({"synchronised": False}, "clock", NOTE, "timedatectl"),
        ({"synchronised": None}, "clock", NOTE, "unknown whether"),
        ({}, "memory", OK, "3000 of 4000 MB"),
        ({"available_bytes": 100_000_000}, "memory", NOTE, "100 of"),
        ({"available_bytes": None}, "memory", OK, "unknown"),
        ({}, "temperature", OK, "51 deg C"),
        ({"hottest_c": 82.0}, "temperature", NOTE, "throttles"),
        ({}, "power", OK, "high enough"),
        ({"undervoltage": True}, "power", FAILS, "too low"),
        ({}, "tables", OK, "2025-10-07"),
        ({"table_date": AT - timedelta(days=900)}, "tables", NOTE, "astropy-iers-data"),
        ({"table_date": None}, "tables", OK, "is unknown"),
        ({}, "versions", OK, "alpaca-focus 1, Python 3"),
    ],
)
def test_computers(changes: dict[str, object], name: str, outcome: CheckOutcome, words: str) -> None:
    assert_check(check_computer(replace(COMPUTER, **changes)), name, outcome, words)


def test_a_computer_without_sensors_has_no_checks_of_them() -> None:
    names = [check.name for check in check_computer(replace(COMPUTER, hottest_c=None, undervoltage=None))]
    assert names == ["clock", "memory", "tables", "versions"]


@pytest.mark.parametrize(
    ("zone_h", "longitude_deg", "outcome"),
    [
        (1, 8.0, OK),
        (2, 8.0, OK),
        (1, -100.0, NOTE),
        (-7, -105.0, OK),
        (-7, 105.0, NOTE),
        (13, 175.0, OK),
        (0, 150.0, OK),
    ],
)
def test_the_time_zone_is_that_of_the_site(zone_h: int, longitude_deg: float, outcome: CheckOutcome) -> None:
    now = AT.astimezone(timezone(timedelta(hours=zone_h)))
    assert_check([check_time_zone(now, 47.0, longitude_deg, -30.0)], "site", outcome, "the Sun is at -30 deg")


STORAGE = StorageFacts(directory="/n", exists=True, writable=True, free_bytes=9_000_000_000, history="")


@pytest.mark.parametrize(
    ("changes", "name", "outcome", "words"),
    [
        ({}, "folder", OK, "is writable"),
        ({"exists": False}, "folder", OK, "creates it"),
        ({"writable": False}, "folder", FAILS, "write in /n"),
        ({"writable": False, "exists": False}, "folder", FAILS, "create /n"),
        ({}, "room", OK, "9.0 GB"),
        ({"free_bytes": 400_000_000}, "room", NOTE, "0.4 GB"),
        ({"free_bytes": 1000}, "room", FAILS, "nothing can be saved"),
        ({"free_bytes": None}, "room", OK, "unknown"),
        ({}, "history", OK, "intact"),
        ({"history": None}, "history", OK, "none yet"),
        ({"history": "it is damaged"}, "history", FAILS, "it is damaged"),
    ],
)
def test_storage(changes: dict[str, object], name: str, outcome: CheckOutcome, words: str) -> None:
    assert_check(check_storage(replace(STORAGE, **changes)), name, outcome, words)


def test_rules_are_plain_functions_on_frozen_facts() -> None:
    modules = [import_module(f"{doctor.__name__}.{each.name}") for each in iter_modules(doctor.__path__)]
    members = [member for module in modules for member in vars(module).items()]
    rules = [member for name, member in members if name.startswith("check_")]
    facts = [member for name, member in members if name.endswith("Facts") and name != "DiscoveredFacts"]
    assert len(set(rules)) >= 15
    assert len(set(facts)) >= 10
    for rule in rules:
        assert not iscoroutinefunction(rule), rule
        # The settings, frozen as well, are the facts of their own rule.
        others = {ProbeContext, Connection} if rule is check_settings else {ProbeContext, Connection, Settings}
        assert not others & set(get_type_hints(rule).values()), rule
    assert all(is_dataclass(each) and each.__dataclass_params__.frozen for each in facts)
