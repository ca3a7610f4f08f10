"""The settings of a whole night: nonsense is refused, at its place."""

import pytest

from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.settings.loader import parse_yaml
from alpaca_focus.settings.models import Settings
from alpaca_focus.settings.night_models import (
    CompensationSection,
    FilterByHandSection,
    NightSection,
    SiteSection,
    ThermometerSection,
    TriggersSection,
)

TELESCOPE = "telescope: {focal_length_mm: 530, aperture_mm: 106}\n"
PLACE = {"latitude_deg": "47", "longitude_deg": "8"}

NONSENSE: dict[str, tuple[str, ...]] = {
    "site.latitude_deg": ("90.1", "-91", "north", "null"),
    "site.longitude_deg": ("180.5", "-181", "null"),
    "thermometer.source": ("air", "null", "1"),
    "thermometer.file": ("''", "3"),
    "thermometer.url": ("''", "observatory.local/air", "'ftp://observatory.local/air'"),
    "thermometer.every_s": ("0", "-1", "90000", ".inf", ".nan", "null", "'10'"),
    "thermometer.readings": ("0", "10001", "2.5", "null"),
    "triggers.temperature_c": ("0", "-1", "51", ".nan", "warm"),
    "triggers.temperature_zones": ("0", "-0.5", "11"),
    "triggers.images": ("0", "-3", "10001", "1.5", "true"),
    "triggers.minutes": ("0", "0.5", "1441"),
    "triggers.filter_change": ("offsets", "null", "true"),
    "triggers.filter_by_hand": ("ask", "null", "5"),
    "triggers.filter_by_hand.ask_s": ("-1", "90000", "null"),
    "triggers.filter_by_hand.then": ("ask", "null"),
    "triggers.focuser_moved": ("1", "null", "'true'"),
    "triggers.meridian_flip": ("1", "perhaps", "null", "'true'"),
    "triggers.hfd_rise_percent": ("0", "0.2", "501"),
    "triggers.hfd_frames": ("2", "31", "4.5", "null"),
    "triggers.altitude_deg": ("0", "0.5", "91", "-10"),
    "triggers.uncertainty_zones": ("0", "-1", "11"),
    "triggers.back_off_s": ("0", "-1", "90000", "null"),
    "triggers.longest_back_off_s": ("0", "-1", "90000", "null"),
    "compensation.enabled": ("1", "perhaps", "null"),
    "compensation.steps_per_c_through": ("5", "null", "[1]"),
    "compensation.steps_per_c_through.Ha": ("much", ".nan", ".inf", "null"),
    "compensation.altitude_steps": ("3e9", "-3e9", ".nan", "null"),
    "compensation.readings": ("0", "10001", "1.5", "null"),
    "compensation.when": ("always", "null", "true"),
    "compensation.dead_zone_steps": ("0", "0.4", "-1", "null"),
    "compensation.dead_zone_zones": ("0", "1.1", "-0.1"),
    "compensation.most_steps_per_hour": ("0", "-5", "1.5"),
    "compensation.most_steps": ("0", "-5", "1.5"),
    "night.poll_s": ("0", "0.05", "61", "null"),
    "night.watch_s": ("0", "0.05", "601", "null"),
    "night.sun_altitude_deg": ("-18.5", "91", "dark"),
    "night.least_image_s": ("-1", "3601", "null"),
    "night.quiet_after_a_move_s": ("-1", "3601", "null"),
    "night.zone": ("narrow", "null"),
    "night.seeing_fwhm_arcsec": ("0", "-1", "21", "null"),
    "night.tolerance_percent": ("0", "-1", "101", "null"),
}


def text_of(setting: str, value: str) -> str:
    """Write one setting as YAML, and of a section that needs more of them the others."""
    *sections, name = setting.split(".")
    body = {**PLACE, name: value} if sections == ["site"] else {name: value}
    text = ", ".join(f"{each}: {what}" for each, what in body.items())
    for section in reversed(sections[1:]):
        text = f"{section}: {{{text}}}"
    return f"{TELESCOPE}{sections[0]}: {{{text}}}\n"


@pytest.mark.parametrize(("setting", "value"), [(name, value) for name, values in NONSENSE.items() for value in values])
def test_nonsense_is_refused_in_one_line_at_its_place(setting: str, value: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_yaml(text_of(setting, value), Settings, source="night.yaml")
    message = str(caught.value)
    assert message.startswith("night.yaml:2:")
    assert f" {setting}: " in message
    assert "\n" not in message


def test_no_setting_of_the_night_is_left_out_here() -> None:
    sections = {
        "site": SiteSection,
        "thermometer": ThermometerSection,
        "triggers": TriggersSection,
        "triggers.filter_by_hand": FilterByHandSection,
        "compensation": CompensationSection,
        "night": NightSection,
    }
    names = {f"{section}.{name}" for section, model in sections.items() for name in model.model_fields}
    assert names <= set(NONSENSE)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("thermometer: {file: /tmp/air, url: 'http://air/'}\n", "write either file or url"),
        ("triggers: {temperature_c: 1, temperature_zones: 0.5}\n", "write either temperature_c or temperature_zones"),
    ],
)
def test_two_alternative_settings_are_refused(text: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_yaml(TELESCOPE + text, Settings, source="night.yaml")
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
