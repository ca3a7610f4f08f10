"""The first settings file: what is in it, its comments, and that its proposals can be enabled."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from alpaca_focus.core.discovered import DiscoveredObservatory
from alpaca_focus.settings.loader import parse_yaml
from alpaca_focus.settings.models import Settings
from alpaca_focus.setup.first_devices import WAYS, Answers
from alpaca_focus.setup.first_file import first_file, next_commands
from tests.discovered import ANSWERS, CAMERA, FOCUSER, LEAST, WEATHER, WHOLE, device, observatory

LONGEST_LINE = 120
PROPOSED = re.compile(r'( *)# ((?:  )*(?:[a-z_]+|"[^"]*"): ?.*)')


def text_of(found: DiscoveredObservatory, answers: Answers = ANSWERS, *, beside_schema: bool = False) -> str:
    return first_file(found, answers, file_name="night.yaml", beside_schema=beside_schema)


def settings_of(text: str) -> Settings:
    return parse_yaml(text, Settings, source="night.yaml")


def test_discovered_devices_and_answers_are_in_force() -> None:
    settings = settings_of(text_of(WHOLE))
    assert settings.telescope.model_dump() == {
        "name": "80 mm",
        "focal_length_mm": 480.0,
        "aperture_mm": 80.0,
        "central_obstruction": 0.0,
    }
    assert settings.alpaca.address == "192.168.1.20:11111"
    assert settings.focuser.backlash.model_dump() == {"method": "overshoot", "steps": 60, "arrive": "in"}
    assert settings.storage.folder == Path.home() / "runs"
    assert settings.site is not None
    assert (settings.site.latitude_deg, settings.site.longitude_deg) == (47.1, 8.2)
    for each in (settings.filter_wheel, settings.mount, settings.observing_conditions, settings.safety_monitor):
        assert each is not None


def test_devices_that_were_not_discovered_are_left_out() -> None:
    settings = settings_of(text_of(LEAST))
    assert settings.filter_wheel is settings.mount is settings.safety_monitor is settings.site is None


def test_backlash_that_is_not_known_is_not_compensated() -> None:
    settings = settings_of(text_of(WHOLE, replace(ANSWERS, backlash_steps=0)))
    assert settings.focuser.backlash.method == "none"


def test_sizes_that_no_device_reports_are_in_force_and_others_are_proposed() -> None:
    text = text_of(LEAST, replace(ANSWERS, pixel_size_um=2.4, step_size_um=0.5))
    assert settings_of(text).camera.pixel_size_um == 2.4
    assert settings_of(text).focuser.step_size_um == 0.5
    assert "\n  # pixel_size_um: 3.76\n" in text_of(WHOLE)
    assert settings_of(text_of(WHOLE)).camera.pixel_size_um is None


def test_it_refocuses_by_itself_on_what_can_be_known() -> None:
    triggers = settings_of(text_of(WHOLE)).triggers
    assert (triggers.temperature_c, triggers.minutes) == (1.0, 90)
    assert (triggers.filter_change, triggers.meridian_flip) == ("refocus", True)
    triggers = settings_of(text_of(LEAST)).triggers
    assert (triggers.temperature_c, triggers.minutes) == (None, 90)
    assert (triggers.filter_change, triggers.meridian_flip) == ("nothing", False)


def test_a_camera_on_another_server_has_its_address() -> None:
    elsewhere = replace(CAMERA, device=device("camera", 2, server="camera.local:11111"))
    settings = settings_of(text_of(observatory(elsewhere, FOCUSER)))
    assert (settings.camera.address, settings.camera.device_number) == ("camera.local:11111", 2)
    assert settings.focuser.address is None


def test_the_weather_stations_temperature_counts_where_the_focuser_has_none() -> None:
    assert settings_of(text_of(WHOLE)).thermometer.source == "focuser"
    without = observatory(CAMERA, replace(FOCUSER, temperature_c=None), WEATHER)
    assert settings_of(text_of(without)).thermometer.source == "external"
    assert settings_of(text_of(LEAST)).thermometer.source == "focuser"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("found", [WHOLE, LEAST], ids=["whole", "least"])
@pytest.mark.parametrize("backlash_steps", [0, 60])
def test_everything_that_is_proposed_can_be_switched_on(
    found: DiscoveredObservatory, way: str, backlash_steps: int
) -> None:
    text = text_of(found, replace(ANSWERS, way=way, backlash_steps=backlash_steps))  # type: ignore[arg-type]
    lines = text.splitlines()
    proposed = [PROPOSED.fullmatch(line) for line in lines]
    assert sum(match is not None for match in proposed) >= 12
    switched_on = "\n".join(
        line if match is None else match[1] + match[2] for line, match in zip(lines, proposed, strict=True)
    )
    settings = settings_of(switched_on)
    assert settings.triggers.minutes == 90
    assert settings.compensation.enabled
    assert settings.messages is not None
    assert settings.imaging.way == ("gateway" if way == "none" else way)
    if found is WHOLE:
        assert settings.camera.unique_id == "abc"
        assert settings.focus.filters["Ha"].exposure_s == 9.0
        assert (settings.focuser.min_position, settings.focuser.max_position) == (1200, 58800)


def test_no_line_is_longer_than_a_terminal_is_wide() -> None:
    for found in (WHOLE, LEAST):
        assert max(map(len, text_of(found).splitlines())) <= LONGEST_LINE


def test_the_schema_is_named_where_it_is() -> None:
    first = "# yaml-language-server: $schema=./alpaca-focus.schema.json\n"
    assert text_of(WHOLE, beside_schema=True).startswith(first)
    assert "yaml-language-server" not in text_of(WHOLE)
    assert "alpaca-focus schema >" in text_of(WHOLE)


def test_the_comments_say_where_things_came_from_and_what_to_do_next() -> None:
    text = text_of(WHOLE)
    assert '# Camera 0 at 192.168.1.20:11111, "My camera".' in text
    assert "# Both are reported by the mount" in text
    assert "# Its filters: L, Ha." in text
    for command in ("check", "doctor", "calibrate backlash", "calibrate vcurve", "focus", "run"):
        assert re.search(f"alpaca-focus {command} .*night.yaml", text), command


def test_other_optics_than_the_mounts_are_not_said_to_be_its_own() -> None:
    assert "Both are reported by the mount" not in text_of(WHOLE, replace(ANSWERS, focal_length_mm=384.0))


def test_the_next_commands_measure_the_backlash_only_while_it_is_not_known() -> None:
    words = [command.split()[1] for command, _ in next_commands("a b.yaml", backlash_known=False)]
    assert words == ["doctor", "calibrate", "focus", "run"]
    known = next_commands("a b.yaml", backlash_known=True)
    through = next_commands("a b.yaml", backlash_known=True, way="gateway")
    assert through[-1][1].endswith("the imaging program connects to host 127.0.0.1, port 11112")
    assert "11112" not in known[-1][1]
    assert [command for command, _ in known][:2] == [
        "alpaca-focus doctor --config 'a b.yaml'",
        "alpaca-focus focus --config 'a b.yaml'",
    ]
