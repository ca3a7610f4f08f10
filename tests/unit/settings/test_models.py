"""The settings: defaults, the published schema, and their description."""

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.settings.describe import describe
from alpaca_focus.settings.loader import parse_yaml
from alpaca_focus.settings.models import Settings, json_schema

TELESCOPE = "telescope: {focal_length_mm: 530, aperture_mm: 106}\n"


def parsed(text: str) -> Settings:
    return parse_yaml(text, Settings, source="night.yaml")


def test_the_telescope_is_all_that_is_required() -> None:
    settings = parsed(TELESCOPE)
    assert settings.model_dump(exclude_none=True) == {
        "telescope": {"name": "telescope", "focal_length_mm": 530.0, "aperture_mm": 106.0, "central_obstruction": 0.0},
        "alpaca": {"address": "127.0.0.1:11111", "timeout_s": 5.0},
        "camera": {"device_number": 0, "download_timeout_s": 60.0, "idle_timeout_s": 30.0},
        "focuser": {
            "device_number": 0,
            "settle_s": 1.0,
            "stall_timeout_s": 30.0,
            "backlash": {"method": "none", "steps": 0, "arrive": "in"},
        },
        "focus": {
            "exposure_s": 3.0,
            "binning": 1,
            "metric": "hfd",
            "filters": {},
            "spectrum": {"axis": "auto"},
            "subframe": False,
            "by_rings": False,
            "retries": 1,
            "points": 6,
            "max_exposures": 40,
            "max_duration_s": 900.0,
        },
        "storage": {},
        "imaging": {"way": "watch", "folder_pattern": "*"},
        "gateway": {
            "listen": "127.0.0.1",
            "port": 11112,
            "allow": [],
            "discovery": True,
            "compensate_backlash": True,
            "patience_s": 45.0,
            "idle_s": 60.0,
            "any_case": False,
        },
        "web": {"listen": "127.0.0.1", "port": 11180, "allow": [], "names": []},
        "thermometer": {"source": "focuser", "every_s": 10.0, "readings": 60},
        "triggers": {
            "filter_change": "nothing",
            "filter_by_hand": {"ask_s": 60.0, "then": "refocus"},
            "meridian_flip": False,
            "focuser_moved": True,
            "hfd_frames": 5,
            "back_off_s": 600.0,
            "longest_back_off_s": 4800.0,
        },
        "compensation": {
            "enabled": False,
            "steps_per_c_through": {},
            "altitude_steps": 0.0,
            "readings": 12,
            "when": "between exposures",
            "dead_zone_steps": 1.0,
        },
        "night": {
            "poll_s": 2.0,
            "watch_s": 10.0,
            "sun_altitude_deg": -18.0,
            "least_image_s": 10.0,
            "quiet_after_a_move_s": 60.0,
            "zone": "classic",
            "seeing_fwhm_arcsec": 2.5,
            "tolerance_percent": 10.0,
        },
    }


def test_backlash_is_overshot_inward_by_default() -> None:
    backlash = parsed(TELESCOPE + "focuser: {backlash: {steps: 120}}\n").focuser.backlash
    assert (backlash.method, backlash.steps, backlash.arrive) == ("overshoot", 120, "in")


@pytest.mark.parametrize("section", ["filter_wheel", "mount", "observing_conditions", "safety_monitor"])
def test_an_optional_device_is_used_when_its_section_is_there(section: str) -> None:
    assert getattr(parsed(TELESCOPE), section) is None
    assert getattr(parsed(f"{TELESCOPE}{section}: {{}}\n"), section).device_number == 0


@pytest.mark.parametrize("address", ["localhost:1", "observatory.local:65535", "10.0.0.5:11111", "[::1]:11111"])
def test_an_address_is_taken_as_written(address: str) -> None:
    assert parsed(f"{TELESCOPE}alpaca: {{address: '{address}'}}\n").alpaca.address == address


def test_settings_cannot_be_changed_afterwards() -> None:
    settings = parsed(TELESCOPE)
    with pytest.raises(ValidationError, match="frozen"):
        settings.focus.points = 11  # type: ignore[misc]


def test_the_description_names_what_will_be_used() -> None:
    text = """
telescope: {name: RC8, focal_length_mm: 1624, aperture_mm: 203, central_obstruction: 0.4}
alpaca: {address: "pi:11111"}
camera: {address: "pc:32323", device_number: 2}
focuser: {unique_id: f00, backlash: {steps: 120, arrive: out}}
filter_wheel: {}
focus: {step_steps: 75}
"""
    assert describe(parsed(text)) == (
        "RC8: 1624 mm f/8.0, 40% obstructed",
        "camera: number 2 at pc:32323",
        "focuser: number 0 at pi:11111, found by its unique id f00",
        "filter wheel: number 0 at pi:11111",
        "imaging program: its camera is watched",
        "backlash: overshoot by 120 steps, arriving outward",
        "focus run: 6 points of 3 s, 75 steps apart; at most 40 exposures and 900 s",
        "history: none is kept",
        "triggers: none, only on demand",
        "compensation: off",
        "dashboard: at 127.0.0.1, port 11180",
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "imaging: {way: gateway}\ngateway: {listen: 10.0.0.5, port: 7000, allow: [10.0.0.7, 10.1.0.0/16]}\n",
            (
                "imaging program: through the gateway at 10.0.0.5, port 7000 for 10.0.0.7, 10.1.0.0/16 and this "
                "computer; an exposure is held back for 45 s at most"
            ),
        ),
        ("imaging: {way: told}\n", "imaging program: reports its exposures"),
        ("imaging: {folder: /data}\n", "imaging program: its camera is watched; its frames are read in /data"),
    ],
)
def test_the_description_names_the_connection_to_the_imaging_program(text: str, line: str) -> None:
    assert line in describe(parsed(TELESCOPE + text))


@pytest.mark.parametrize(
    ("gateway", "problem"),
    [
        ("{allow: [somewhere]}", '"somewhere" is neither an address nor a network such as 192.168.1.0/24'),
        ("{listen: 0.0.0.0}", "only this computer is allowed, and 0.0.0.0 is for others"),
        ("{port: 0}", "gateway.port"),
        ("{patience_s: 0}", "gateway.patience_s"),
    ],
)
def test_an_invalid_gateway_is_refused(gateway: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as failure:
        parsed(f"{TELESCOPE}gateway: {gateway}\n")
    assert problem in str(failure.value)


@pytest.mark.parametrize("listen", ["127.0.0.1", "::1", "localhost", "127.0.0.9"])
def test_a_gateway_for_this_computer_needs_no_list(listen: str) -> None:
    assert parsed(f'{TELESCOPE}gateway: {{listen: "{listen}"}}\n').gateway.allow == []


def test_a_guider_is_used_when_its_section_is_there() -> None:
    assert parsed(TELESCOPE).guider is None
    guider = parsed(TELESCOPE + "guider: {}\n").guider
    assert guider is not None
    assert guider.model_dump() == {
        "address": "127.0.0.1:4400",
        "mode": "pause",
        "settle_px": 1.5,
        "settle_s": 8.0,
        "timeout_s": 60.0,
    }


@pytest.mark.parametrize(("mode", "meanwhile"), [("pause", "is paused"), ("wait", "goes on")])
def test_the_description_names_the_mode_of_the_guider(mode: str, meanwhile: str) -> None:
    assert (
        f"guider: PHD2 at pi:4401, which {meanwhile} during a run; after it the star has to stay within 0.8 px for 8 s"
    ) in describe(parsed(f"{TELESCOPE}guider: {{address: 'pi:4401', mode: {mode}, settle_px: 0.8}}\n"))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ("", "nothing is given: write 'mode: pause' below it, indented, or take the line out"),
        ("{address: pi}", "'pi' has no port: write host:port, for example 127.0.0.1:4400"),
        ("{address: 'pi:99999'}", "'99999' is not a port: write a number from 1 to 65535, most often 4400"),
        ("{mode: stop}", "guider.mode"),
        ("{settle_px: 0}", "guider.settle_px"),
        ("{settle_s: 0}", "guider.settle_s"),
        ("{timeout_s: 15.9}", "15.9 is too small: the star needs time to become steady, and then 8 s of settle_s"),
    ],
)
def test_nonsense_about_the_guider_is_refused(settings: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parsed(f"{TELESCOPE}guider: {settings}\n")
    assert sentence in str(caught.value)


ALL_TRIGGERS = """
temperature_c: 0.8, images: 30, minutes: 90, filter_change: offset, meridian_flip: true, hfd_rise_percent: 20,
altitude_deg: 15, uncertainty_zones: 0.5
"""


def test_the_description_names_the_triggers_and_the_compensation() -> None:
    lines = describe(
        parsed(
            f"{TELESCOPE}triggers: {{{ALL_TRIGGERS}}}\ncompensation: {{enabled: true}}\n"
            "focuser: {temperature_coefficient_steps_per_c: -12.5}\n"
        )
    )
    assert lines[-3] == (
        "triggers: a refocus after a change of 0.8 deg C, 30 images, 90 minutes, a filter without a known offset, "
        "a meridian flip, stars 20 % larger, 15 degrees of altitude, a probable defocus of 0.5 critical focus zones"
    )
    assert lines[-2] == "compensation: -12.5 steps a degree, between exposures"


def test_the_description_names_backlash_without_compensation() -> None:
    assert "backlash: not compensated" in describe(parsed(TELESCOPE))


def _settings_of(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for section in (schema, *schema["$defs"].values()):
        for name, setting in section["properties"].items():
            yield f"{section['title']}.{name}", setting


def test_every_setting_is_described_with_its_unit_or_is_a_bare_number() -> None:
    for name, setting in _settings_of(json_schema()):
        assert len(setting.get("description", "")) > 8, name


def test_the_schema_allows_nothing_unknown() -> None:
    schema = json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["title"] == "alpaca-focus settings"
    assert "$id" not in schema
    assert all(section["additionalProperties"] is False for section in (schema, *schema["$defs"].values()))
    assert schema["required"] == ["telescope"]


def test_a_filter_has_its_own_exposure_and_leaves_the_rest() -> None:
    focus = parsed(
        TELESCOPE + "focus: {exposure_s: 2, gain: 100, filters: {Ha: {exposure_s: 12.5, binning: 2}}}\n"
    ).focus
    through = focus.through("Ha")
    assert (through.exposure_s, through.binning, through.gain) == (12.5, 2, 100)
    assert focus.through("L") == focus.through(None) == focus
