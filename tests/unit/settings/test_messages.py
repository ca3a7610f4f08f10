"""Every way to get a settings file wrong, with the exact words and place of the answer."""

import pytest

from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.settings.loader import parse_yaml
from alpaca_focus.settings.models import Settings
from alpaca_focus.settings.problems import SettingsError

TELESCOPE = "telescope:\n  focal_length_mm: 530\n  aperture_mm: 106\n"
NEEDS = "It needs at least telescope.focal_length_mm and telescope.aperture_mm"
SECTION = "write its settings below it, indented, one 'name: value' a line"


def answer_to(text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        parse_yaml(text, Settings, source="night.yaml")
    return str(caught.value).splitlines()


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n", "~\n", "\ufeff"])
def test_the_message_about_an_empty_file_names_the_required_settings(text: str) -> None:
    assert answer_to(text) == [f"night.yaml: the file is empty. {NEEDS}"]


@pytest.mark.parametrize("text", ["- 1\n", "[]", "5", "telescope", "'text'", "true"])
def test_the_top_level_must_be_a_mapping(text: str) -> None:
    assert answer_to(text) == [f"night.yaml:1:1: the top level must be settings, one 'name: value' a line. {NEEDS}"]


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        pytest.param(
            "focuser:\n    backlsh: 1\n",
            "5:5: focuser.backlsh: there is no such setting. Did you mean 'backlash'?",
            id="typo",
        ),
        pytest.param(
            "Focuser: {}\n", "4:1: Focuser: there is no such setting. Did you mean 'focuser'?", id="capital letter"
        ),
        pytest.param(
            "focuser:\n  settle-s: 1\n",
            "5:3: focuser.settle-s: there is no such setting. Did you mean 'settle_s'?",
            id="hyphen",
        ),
        pytest.param(
            "backlash:\n  steps: 5\n",
            "4:1: backlash: there is no such setting here. It belongs in 'focuser'",
            id="wrong section",
        ),
        pytest.param(
            "mount: {colour: red}\n",
            "4:9: mount.colour: there is no such setting. Possible here: address, device_number, unique_id",
            id="nothing near",
        ),
        pytest.param(
            'mount: {"col our\\n": red}\n',
            "4:9: mount.'col our\\n': there is no such setting. Possible here: address, device_number, unique_id",
            id="a name with a line break stays on one line",
        ),
        pytest.param(
            "focus:\n  points: '9'\n", "5:11: focus.points: '9' is text: write 9 without quotes", id="text for int"
        ),
        pytest.param(
            "focus:\n  exposure_s: '1e3'\n",
            "5:15: focus.exposure_s: '1e3' is text: write 1e3 without quotes",
            id="text for float",
        ),
        pytest.param(
            "focus:\n  exposure_s: 3 s\n", "5:15: focus.exposure_s: '3 s' is text: write a number", id="with a unit"
        ),
        pytest.param(
            "focus:\n  points: nine\n", "5:11: focus.points: 'nine' is text: write a whole number", id="word for int"
        ),
        pytest.param(
            "focus:\n  points: true\n",
            "5:11: focus.points: true is a true-or-false value: write a whole number",
            id="true for int",
        ),
        pytest.param(
            "focus:\n  points: 1e1\n",
            "5:11: focus.points: 1e1 is not written as a whole number: write 10",
            id="exponent for int",
        ),
        pytest.param("focus:\n  points: 9.5\n", "5:11: focus.points: 9.5 is not a whole number", id="fraction"),
        pytest.param(
            "focus:\n  points: [9]\n", "5:3: focus.points: this is a list: write a whole number", id="list for int"
        ),
        pytest.param(
            "focus:\n  points: {a: 9}\n",
            "5:3: focus.points: this is a group of settings: write a whole number",
            id="mapping for int",
        ),
        pytest.param(
            "focus:\n  points:\n", "5:3: focus.points: nothing is given: write a whole number", id="null for int"
        ),
        pytest.param(
            "focus:\n  points: ~\n",
            "5:11: focus.points: nothing is given: write a whole number",
            id="written null for int",
        ),
        pytest.param(
            "camera:\n  unique_id: 5\n",
            "5:14: camera.unique_id: 5 is a number: write it in quotes, '5'",
            id="number for text",
        ),
        pytest.param(
            "camera:\n  unique_id: ''\n",
            "5:14: camera.unique_id: '' is too short: write at least 1 character(s)",
            id="empty text",
        ),
        pytest.param(
            "focus:\n  points: 4\n", "5:11: focus.points: 4 is too small: it must be at least 5", id="too small"
        ),
        pytest.param(
            "focus:\n  points: 26\n", "5:11: focus.points: 26 is too large: it must be at most 25", id="too large"
        ),
        pytest.param(
            "focus:\n  exposure_s: 0\n",
            "5:15: focus.exposure_s: 0 is too small: it must be more than 0",
            id="exclusive bound",
        ),
        pytest.param(
            "focuser:\n  max_position: 9999999999\n",
            "5:17: focuser.max_position: 9999999999 is too large: it must be at most 2147483647",
            id="large bound written out",
        ),
        pytest.param(
            "focus:\n  metric: sharpness\n",
            "5:11: focus.metric: 'sharpness' is not one of the choices: "
            "write 'hfd', 'fwhm', 'invpower', 'spectrum_fwhm' or 'nsig'",
            id="choice",
        ),
        pytest.param(
            "focuser:\n  backlash:\n    method: overshot\n    steps: 5\n",
            "6:13: focuser.backlash.method: 'overshot' is not one of the choices: "
            "write 'overshoot', 'absolute' or 'none'",
            id="choices listed",
        ),
        pytest.param("camera:\n", f"4:1: camera: nothing is given: {SECTION}", id="empty section"),
        pytest.param("camera: zwo\n", f"4:9: camera: 'zwo' is text: {SECTION}", id="text for section"),
        pytest.param("mount:\n- 1\n", f"4:1: mount: this is a list: {SECTION}", id="list for section"),
        pytest.param(
            "filter_wheel:\n",
            "4:1: filter_wheel: nothing is given: write 'device_number: 0' below it, indented, or take the line out",
            id="empty optional section",
        ),
        pytest.param(
            "focus:\n  points: .nan\n",
            "5:11: focus.points: .nan is not a finite number: write an ordinary number",
            id="nan",
        ),
        pytest.param(
            "focus:\n  exposure_s: -.INF\n",
            "5:15: focus.exposure_s: -.INF is not a finite number: write an ordinary number",
            id="infinite",
        ),
        pytest.param(
            "focus:\n  exposure_s: 1e999\n",
            "5:15: focus.exposure_s: 1e999 is not a finite number: write an ordinary number",
            id="overflow",
        ),
        pytest.param(
            f"focus:\n  points: {'9' * 5000}\n",
            f"5:11: focus.points: '{'9' * 37}...' has too many digits for a number",
            id="endless integer",
        ),
        pytest.param(
            "focus:\n  points: !!int 9\n",
            "5:11: focus.points: YAML tags ('!!int') are not used here: take it out",
            id="standard tag",
        ),
        pytest.param(
            "camera: !python/object:os.system {}\n",
            "4:9: camera: YAML tags ('!python/object:os.system') are not used here: take it out",
            id="foreign tag",
        ),
        pytest.param(
            "camera:\n  device_number: 0\n  device_number: 1\n",
            "6:3: camera.device_number: stands here a second time (first in line 5): keep one of them",
            id="duplicate",
        ),
        pytest.param(
            TELESCOPE, "4:1: telescope: stands here a second time (first in line 1): keep one of them", id="copied"
        ),
        pytest.param(
            "camera:\n  1.5: 2\n",
            "5:3: camera: the name of a setting must be text, and '1.5' is not",
            id="fraction as name",
        ),
        pytest.param(
            "camera:\n  true: 2\n",
            "5:3: camera: the name of a setting must be text, and 'true' is not",
            id="true as name",
        ),
        pytest.param(
            "mount:\n  1: 2\n",
            "5:3: mount.1: there is no such setting. Possible here: address, device_number, unique_id",
            id="number as name",
        ),
        pytest.param(
            "mount:\n  .inf: 2\n",
            "5:3: mount: the name of a setting must be text: .inf is not a finite number: write an ordinary number",
            id="infinity as name",
        ),
        pytest.param("~: 2\n", "4:1: the name of a setting must be text, and '~' is not", id="null as name"),
        pytest.param(": 2\n", "4:1: the name of a setting must be text, and nothing is not", id="no name"),
        pytest.param("? [a]\n: 2\n", "4:3: the name of a setting must be plain text", id="list as name"),
        pytest.param(
            'camera:\n  unique_id: "\\ud800"\n',
            "5:14: camera.unique_id: '\\ud800' has half a character (a surrogate escape)",
            id="surrogate",
        ),
        pytest.param(
            "camera:\n  <<: 5\n", "5:7: camera: '<<' takes in another group of settings, such as '*name'", id="merge"
        ),
    ],
)
def test_one_mistake_gets_one_line(body: str, answer: str) -> None:
    assert answer_to(TELESCOPE + body) == [f"night.yaml:{answer}"]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        pytest.param(
            "focus: {}\n",
            "1:1: telescope: this setting is required and missing (it needs focal_length_mm and aperture_mm)",
            id="section missing",
        ),
        pytest.param(
            "# first\ntelescope:\n  aperture_mm: 106\n",
            "2:1: telescope.focal_length_mm: this setting is required and missing",
            id="setting missing",
        ),
        pytest.param(
            "telescope:\n",
            f"1:1: telescope: nothing is given: {SECTION} (it needs focal_length_mm and aperture_mm)",
            id="all lines below commented out",
        ),
        pytest.param(
            "telescope:\n  focal_lenght_mm: 530\n  aperture_mm: 106\n",
            "2:3: telescope.focal_lenght_mm: there is no such setting. Did you mean 'focal_length_mm'?",
            id="a misspelt required setting is not missing as well",
        ),
        pytest.param(
            "telescope:\n  focal_length_mm: 53\n  aperture_mm: 106\n",
            "3:16: telescope.aperture_mm: f/0.5 is not a telescope (53 mm focal length, 106 mm aperture): "
            "are focal_length_mm and aperture_mm right?",
            id="too fast",
        ),
        pytest.param(
            "telescope: {focal_length_mm: 5300, aperture_mm: 106}\n",
            "1:49: telescope.aperture_mm: f/50 is not a telescope (5300 mm focal length, 106 mm aperture): "
            "are focal_length_mm and aperture_mm right?",
            id="too slow",
        ),
        pytest.param(
            "telescope: {focal_length_mm: 530, aperture_mm: 106, central_obstruction: 0.75}\n",
            "1:74: telescope.central_obstruction: 0.75 is too large: it must be at most 0.7",
            id="obstruction",
        ),
    ],
)
def test_the_optics_of_the_telescope_are_checked(text: str, answer: str) -> None:
    assert answer_to(text) == [f"night.yaml:{answer}"]


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        pytest.param(
            "focuser: {min_position: 500, max_position: 500}\n",
            "4:44: focuser.max_position: 500 is not above min_position (500): swap or correct them",
            id="range",
        ),
        pytest.param(
            "focuser:\n  backlash:\n    arrive: in\n",
            "5:3: focuser.backlash: the method overshoot needs the number of steps that the focuser loses: "
            "write steps, or method: none",
            id="overshoot without steps",
        ),
        pytest.param(
            "focuser:\n  backlash:\n    method: absolute\n    steps: 0\n",
            "7:12: focuser.backlash.steps: the method absolute needs the number of steps that the focuser loses: "
            "write steps, or method: none",
            id="absolute with no steps",
        ),
        pytest.param(
            "focus: {points: 11, max_exposures: 11}\n",
            "4:36: focus.max_exposures: 11 is too small: a run takes its 11 points and at least one frame to verify",
            id="exposures",
        ),
        pytest.param(
            "focus: {points: 9, step_steps: 100, max_travel_steps: 399}\n",
            "4:55: focus.max_travel_steps: 399 is too small: 9 points, 100 steps apart, reach 400 steps to each side",
            id="travel",
        ),
    ],
)
def test_settings_that_contradict_each_other(body: str, answer: str) -> None:
    assert answer_to(TELESCOPE + body) == [f"night.yaml:{answer}"]


@pytest.mark.parametrize(
    ("address", "complaint"),
    [
        ("localhost", "'localhost' has no port: write host:port, for example 127.0.0.1:11111"),
        ("http://localhost:11111", "is a URL: write only host:port, for example 127.0.0.1:11111"),
        ("localhost:0", "'0' is not a port: write a number from 1 to 65535, most often 11111"),
        ("localhost:65536", "'65536' is not a port: write a number from 1 to 65535, most often 11111"),
        ("localhost:1x", "'1x' is not a port: write a number from 1 to 65535, most often 11111"),
        ("localhost:", "'' is not a port: write a number from 1 to 65535, most often 11111"),
        (":11111", "':11111' does not begin with a host name: write host:port, for example 127.0.0.1:11111"),
        ("a b:11111", "'a b:11111' does not begin with a host name: write host:port, for example 127.0.0.1:11111"),
        ("::1:11111", "'::1:11111' does not begin with a host name: write host:port, for example 127.0.0.1:11111"),
        ("[::1]", "'[::1]' has no port: write host:port, for example 127.0.0.1:11111"),
    ],
)
@pytest.mark.parametrize("section", ["alpaca", "camera"])
def test_an_address_is_host_and_port(section: str, address: str, complaint: str) -> None:
    (line,) = answer_to(f"{TELESCOPE}{section}:\n  address: '{address}'\n")
    assert line.startswith(f"night.yaml:5:12: {section}.address: ")
    assert line.endswith(complaint)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("telescope:\n\taperture_mm: 106\n", "2:1: a tab: indent with spaces"),
        ("focuser\n  settle_s: 1\n", "2:11: a ':' is not expected here"),
        ("telescope:\n  aperture_mm: 106\n   name: x\n", "3:8: a ':' is not expected here"),
        ("focus:\n  points: 9\n gain: 1\n", "3:2: this line does not fit: is its indentation that of its neighbours?"),
        ("telescope:\n  - a\n  b: 1\n", "3:3: this line does not fit: is its indentation that of its neighbours?"),
        ("alpaca\nfocus: {}\n", "2:6: a ':' is not expected here"),
        ("focus: {}\nalpaca\n", "2:1: a ':' is missing: settings are written 'name: value'"),
        ("a: [1, 2\nb: 3\n", "2:2: a ',' or the closing ']' of the list is missing (it was opened in line 1)"),
        ("a: {b: 1\n", "2:1: a ',' or the closing '}' is missing (it was opened in line 1)"),
        ("name: 'open\n", "1:7: the quotes that begin here are not closed"),
        ("name: @home\n", "1:7: text that begins with such a character must stand in quotes"),
        ("name: *\n", "1:8: text that begins with '&' or '*' must stand in quotes"),
        ('name: "C:\\dir"\n', "1:11: an unknown escape after '\\': use single quotes for text with backslashes"),
        ('name: "\\U7fffffff"\n', "what follows is not YAML"),
        ("name: *x\n", "1:7: '*x' refers to '&x', which is not complete above this place"),
        ("a: &a\n  b: *a\n", "2:6: '*a' refers to '&a', which is not complete above this place"),
        ("name: a\x07b\n", "1:8: character U+0007 may not stand in YAML: take it out"),
        ("a: 1\r\nb: \x00\r\n", "2:4: character U+0000 may not stand in YAML: take it out"),
        ("a: 1\n---\nb: 2\n", "2:1: a second document begins here ('---'): keep one document in the file"),
        ("%YAML 2.0\n---\na: 1\n", "1:1: this version of YAML is not known: take the '%YAML' line out"),
        (f"a: {'[' * 60}", "nested more than 40 levels deep: this is not a settings file"),
        ("".join(f"a{n}: 1\n" for n in range(6000)), "more than 10000 values: this is not a settings file"),
    ],
)
def test_text_that_is_not_yaml_gets_one_line_in_words(text: str, answer: str) -> None:
    (line,) = answer_to(text)
    assert line.startswith("night.yaml:")
    assert answer in line


def test_aliases_cannot_blow_up_a_file() -> None:
    bomb = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
    bomb += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 20))
    (line,) = answer_to(bomb)
    assert line.endswith("the aliases ('*') and merge keys make this file grow out of bounds")


def test_merge_keys_cannot_blow_up_a_file() -> None:
    bomb = "a0: &a0 {b: 1}\n"
    bomb += "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 20))
    (line,) = answer_to(bomb)
    assert line.endswith("the aliases ('*') and merge keys make this file grow out of bounds")


def test_a_long_chain_of_merge_keys_is_refused() -> None:
    chain = "a0: &a0 {b: 1}\n" + "".join(f"a{n}: &a{n} {{<<: *a{n - 1}}}\n" for n in range(1, 1000))
    (line,) = answer_to(chain)
    assert line.endswith("the aliases ('*') and merge keys make this file grow out of bounds")


def test_all_problems_come_at_once_in_the_order_of_the_file() -> None:
    text = (
        "focus:\n"
        "  points: 99\n"
        "  gain: '100'\n"
        "  points: 9\n"
        "telescope:\n"
        "  aperture_mm: -1\n"
        "  central_obstruction: .nan\n"
        "camera: {adress: 'x'}\n"
    )
    assert answer_to(text) == [
        "night.yaml:2:11: focus.points: 99 is too large: it must be at most 25",
        "night.yaml:3:9: focus.gain: '100' is text: write 100 without quotes",
        "night.yaml:4:3: focus.points: stands here a second time (first in line 2): keep one of them",
        "night.yaml:5:1: telescope.focal_length_mm: this setting is required and missing",
        "night.yaml:6:16: telescope.aperture_mm: -1 is too small: it must be more than 0",
        "night.yaml:7:24: telescope.central_obstruction: .nan is not a finite number: write an ordinary number",
        "night.yaml:8:10: camera.adress: there is no such setting. Did you mean 'address'?",
    ]


def test_a_mistake_in_a_shared_group_is_shown_where_it_is_written() -> None:
    text = TELESCOPE + "camera: &here\n  device_number: -1\nmount: *here\n"
    assert answer_to(text) == [
        "night.yaml:5:18: camera.device_number: -1 is too small: it must be at least 0",
        "night.yaml:5:18: mount.device_number: -1 is too small: it must be at least 0",
    ]


def test_places_do_not_depend_on_line_ends_or_a_byte_order_mark() -> None:
    text = TELESCOPE + "focus:\n  points: 4\n"
    expected = answer_to(text)
    assert answer_to(text.replace("\n", "\r\n")) == expected
    assert answer_to("\ufeff" + text) == expected


def test_the_problems_can_be_taken_one_by_one() -> None:
    with pytest.raises(SettingsError) as caught:
        parse_yaml("focus: {points: 4}\n", Settings, source="night.yaml")
    assert [problem.path for problem in caught.value.problems] == [("telescope",), ("focus", "points")]
    assert caught.value.source == "night.yaml"
