"""The questions and choices of `alpaca-focus init`: which are asked, and which answers are refused."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from alpaca_focus.alpaca.discovery import DiscoveredServer
from alpaca_focus.core.device_kinds import (
    DEVICE_KINDS,
    MOUNT_ABILITIES,
    DeviceKind,
    DiscoveredDevice,
    DiscoveredFacts,
    DiscoveredMount,
)
from alpaca_focus.core.discovered import SurveyedServer
from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.setup.device_choice import ChosenDevices, choose_devices
from alpaca_focus.setup.questions import Given, check_given, collect_answers
from alpaca_focus.setup.server_discovery import usable_addresses
from alpaca_focus.setup.surveying import device_lines
from tests.discovered import CAMERA, FOCUSER, LEAST, WHEEL, WHOLE, device, observatory, server

WITHOUT_MOUNT = observatory(CAMERA, FOCUSER, WHEEL)
OPTICS = {"focal_length_mm": 480.0, "aperture_mm": 80.0}


@dataclass
class Somebody:
    """Answers by the beginning of the question, in turn, and else with the default."""

    answers: dict[str, list[str]] = field(default_factory=dict)
    is_there: bool = True
    lines: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def echo(self, line: str) -> None:
        self.lines.append(line)

    def answer(self, question: str, default: str | None) -> str:
        assert self.is_there
        self.asked.append(question)
        for beginning, answers in self.answers.items():
            if question.startswith(beginning) and answers:
                return answers.pop(0)
        assert default is not None, question
        return default


def nobody() -> Somebody:
    return Somebody(is_there=False)


def given(**values: Any) -> Given:
    return Given(values=values)


def test_what_the_devices_report_is_not_asked() -> None:
    person = Somebody()
    answers = collect_answers(WHOLE, Given(), person)
    assert (answers.focal_length_mm, answers.aperture_mm) == (480.0, 80.0)
    assert answers.pixel_size_um is answers.step_size_um is None
    assert [question.split()[0] for question in person.asked] == [
        "Name",
        "Central",
        "Backlash",
        "Exposure",
        "Imaging",
        "Folder",
    ]
    assert not person.lines


def test_what_they_do_not_report_is_asked() -> None:
    person = Somebody(
        {"Focal": ["2032"], "Aperture": ["203.2"], "Side": ["3.76"], "Travel": ["1.2"], "Imaging": ["Gateway"]}
    )
    answers = collect_answers(LEAST, Given(), person)
    assert (answers.focal_length_mm, answers.aperture_mm) == (2032.0, 203.2)
    assert (answers.pixel_size_um, answers.step_size_um, answers.way) == (3.76, 1.2, "gateway")


def test_what_was_given_is_not_asked_and_wins() -> None:
    answers = collect_answers(WHOLE, given(focal_length_mm=384.0, backlash_steps=70, way="told"), nobody())
    assert (answers.focal_length_mm, answers.backlash_steps, answers.way) == (384.0, 70, "told")
    assert answers.aperture_mm == 80.0


def test_an_invalid_answer_is_asked_for_again() -> None:
    person = Somebody({"Central": ["much", "-1", "0.34"], "Backlash": ["2.5", "60"], "Imaging": ["NINA", "none"]})
    answers = collect_answers(WHOLE, Given(), person)
    assert (answers.central_obstruction, answers.backlash_steps, answers.way) == (0.34, 60, "none")
    much, negative, half, program = person.lines
    assert much == "  'much' is not a number: write it as in 480 or 0.34."
    assert "-1" in negative
    assert half == "  '2.5' is not a whole number of steps."
    assert program == "  'nina' is none of gateway, watch, told, none."


def test_no_telescope_of_f_1000_is_taken() -> None:
    person = Somebody({"Focal": ["480"], "Aperture": ["0.48", "80"]})
    assert collect_answers(WITHOUT_MOUNT, Given(), person).aperture_mm == 80.0
    assert "f/1e+03 is not a telescope" in person.lines[0]


def test_what_is_missing_is_named_with_its_options() -> None:
    with pytest.raises(ConfigurationError) as caught:
        collect_answers(LEAST, Given(), nobody())
    assert str(caught.value) == (
        "There is no value for the focal length, the aperture, the size of the camera's pixels and the travel of one "
        "step of the focuser. Add --focal-length MM, --aperture MM, --pixel-size UM and --step-size UM."
    )


def test_the_optics_of_a_mount_that_do_not_fit_what_was_given_are_not_taken() -> None:
    with pytest.raises(ConfigurationError, match=r"no value for the focal length\. Add --focal-length MM\."):
        collect_answers(WHOLE, given(aperture_mm=5.0), nobody())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"focal_length_mm": -1.0}, "--focal-length -1.0: "),
        ({"focal_length_mm": 480.0, "aperture_mm": 1.0}, "--aperture 1.0: f/480 is not a telescope"),
        ({"central_obstruction": float("nan")}, "--central-obstruction nan: "),
        ({"backlash_steps": -5}, "--backlash -5: "),
        ({"exposure_s": 1e9}, "--exposure 1000000000.0: "),
        ({"directory": ""}, "--storage : "),
        ({"way": "NINA"}, "--way NINA: 'NINA' is none of gateway, watch, told, none."),
        ({"name": "x" * 101, "exposure_s": 1e9}, "--name xxx"),
    ],
)
def test_options_that_cannot_be_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_given(Given(values=values))
    assert str(caught.value).startswith(message)


def test_options_that_can_be_are_taken() -> None:
    check_given(Given(values=OPTICS | {"backlash_steps": 0, "way": "none", "name": "a: b # c", "directory": None}))


# Choosing.


def chosen_of(
    servers: Sequence[SurveyedServer], options: Given, person: Somebody, *, guiders: Collection[int] = ()
) -> ChosenDevices:
    """Choose where the mounts of these numbers can neither slew, track nor park."""

    def read(found: DiscoveredDevice, kind: DeviceKind) -> DiscoveredFacts:
        assert kind.section == "mount"
        return DiscoveredMount.of(found, dict.fromkeys(MOUNT_ABILITIES, found.number not in guiders), ())

    return choose_devices(servers, options, person, read)


def test_the_only_server_with_a_focuser_is_taken() -> None:
    both, weather = server("camera", "focuser"), server("observingconditions", address="10.0.0.9:1")
    chosen = chosen_of([weather, both], Given(), nobody())
    assert chosen.server == both.address
    assert list(chosen.devices) == ["camera", "focuser"]


def test_one_of_several_servers_has_to_be_named_or_chosen() -> None:
    servers = [server("camera", "focuser"), server("camera", "focuser", address="10.0.0.9:1")]
    with pytest.raises(ConfigurationError, match=r"2 servers have a focuser \(.*10\.0\.0\.9:1\): name one with --addr"):
        chosen_of(servers, Given(), nobody())
    assert chosen_of(servers, Given(), Somebody({"Number": ["3", "2"]})).server == "10.0.0.9:1"


def test_one_of_several_cameras_has_to_be_named_or_chosen() -> None:
    servers = [server("camera", "camera", "focuser")]
    with pytest.raises(ConfigurationError, match="choose with --camera NUMBER"):
        chosen_of(servers, Given(), nobody())
    assert chosen_of(servers, Given(numbers={"camera": 1}), nobody()).devices["camera"].number == 1
    assert chosen_of(servers, Given(), Somebody({"Number": ["2"]})).devices["camera"].number == 1
    with pytest.raises(ConfigurationError, match=r"There is no camera 7\. There are: camera 0 .*Correct --camera\."):
        chosen_of(servers, Given(numbers={"camera": 7}), nobody())


def test_a_camera_on_another_server_is_found() -> None:
    focuser, camera = server("focuser"), server("camera", address="camera.local:11111")
    assert chosen_of([focuser, camera], Given(), nobody()).devices["camera"].server == "camera.local:11111"
    with pytest.raises(ConfigurationError, match="There is no camera"):
        chosen_of([focuser], Given(), nobody())
    another = server("camera", address="10.0.0.9:1")
    with pytest.raises(ConfigurationError, match="choose at a terminal"):
        chosen_of([focuser, camera, another], Given(numbers={"camera": 0}), nobody())


def test_of_several_mounts_the_first_is_taken_or_one_is_chosen_or_none() -> None:
    servers = [server("camera", "focuser", "telescope", "telescope")]
    unasked = nobody()
    assert chosen_of(servers, Given(), unasked).devices["mount"].number == 0
    assert "the first is used" in unasked.lines[0]
    assert chosen_of(servers, Given(), Somebody({"Number": ["2"]})).devices["mount"].number == 1
    assert "mount" not in chosen_of(servers, Given(), Somebody({"Number": ["3"]})).devices


def test_a_guider_is_no_mount() -> None:
    servers = [server("camera", "focuser", "telescope", "telescope")]
    person = nobody()
    assert chosen_of(servers, Given(), person, guiders={0}).devices["mount"].number == 1
    (line,) = person.lines
    assert line == (
        'mount 0 "My telescope" can neither slew, track nor park, and is left out as a guider. If it is the mount, add '
        "--mount 0."
    )
    assert "mount" not in chosen_of(servers, Given(), nobody(), guiders={0, 1}).devices
    named = Given(numbers={"mount": 0})
    assert chosen_of(servers, named, nobody(), guiders={0}).devices["mount"].number == 0


@pytest.mark.parametrize(
    ("values", "is_idle"),
    [
        ({}, False),
        (dict.fromkeys(MOUNT_ABILITIES, False), True),
        ({"CanSlew": False}, True),
        ({"CanSlew": False, "Tracking": True}, False),
        ({"CanSlew": False, "CanPark": True}, False),
    ],
)
def test_a_mount_that_reports_nothing_may_be_one(values: dict[str, bool], *, is_idle: bool) -> None:
    assert DiscoveredMount.of(device("telescope"), values, ()).is_idle is is_idle


@pytest.mark.parametrize("section", DEVICE_KINDS)
def test_a_device_of_any_kind_is_chosen_by_its_number(section: str) -> None:
    alpaca_type = DEVICE_KINDS[section].alpaca_type
    servers = [server("camera", "focuser", alpaca_type, alpaca_type)]
    assert chosen_of(servers, Given(numbers={section: 1}), nobody()).devices[section].number == 1
    option = f"--{section.replace('_', '-')}"
    with pytest.raises(ConfigurationError, match=rf"There is no .* 7\. There are: .* Correct {option}\."):
        chosen_of(servers, Given(numbers={section: 7}), nobody())


def test_a_number_without_any_device_of_its_kind_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"There is no mount 0\. There is none\. Correct --mount\."):
        chosen_of([server("camera", "focuser")], Given(numbers={"mount": 0}), nobody())


def test_a_link_local_address_counts_only_where_there_is_no_other() -> None:
    both = [DiscoveredServer("192.168.1.20", 11111), DiscoveredServer("fe80::1%eth0", 11111)]
    assert [place.authority for place in usable_addresses(both)] == ["192.168.1.20:11111"]
    alone = [DiscoveredServer("fe80::1%eth0", 32323)]
    assert [place.authority for place in usable_addresses([*both, *alone])] == [
        "192.168.1.20:11111",
        "[fe80::1%eth0]:32323",
    ]


def test_the_devices_are_listed_one_per_line() -> None:
    assert device_lines(WHOLE) == (
        'camera 0 "My camera": 6248 x 4176 pixels, 3.76 um a pixel',
        'focuser 0 "My focuser": positions 0 to 60000, 1.2 um a step, 8.0 C',
        'filter wheel 0 "My filterwheel": L, Ha',
        'mount 0 "My telescope": 480 mm, aperture 80 mm, at 47.1, 8.2 degrees',
        'weather station 0 "My observingconditions"',
        'safety monitor 0 "My safetymonitor"',
    )
    camera = replace(LEAST.camera, device=device("camera", 1, server="camera.local:11111"))
    elsewhere = observatory(camera, LEAST.focuser)
    assert device_lines(elsewhere) == (
        'camera 1 "My camera": at camera.local:11111',
        'focuser 0 "My focuser": no thermometer',
    )
