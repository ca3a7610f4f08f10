"""Settings that need something which the settings do not name."""

from typing import Any

import pytest

from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.settings.contradictions import contradictions, refuse_obstacles
from alpaca_focus.settings.models import Settings


def settings_of(**sections: Any) -> Settings:
    return Settings.model_validate({"telescope": {"focal_length_mm": 500, "aperture_mm": 100}} | sections)


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({}, None),
        ({"triggers": {"temperature_zones": 0.5}}, "triggers.temperature_zones"),
        (
            {"triggers": {"temperature_zones": 0.5}, "focuser": {"temperature_coefficient_steps_per_c": -20}},
            None,
        ),
        ({"compensation": {"enabled": True}}, "compensation.enabled"),
        (
            {"compensation": {"enabled": True}, "focuser": {"temperature_coefficient_steps_per_c": 0.0}},
            None,
        ),
        ({"compensation": {"enabled": True, "steps_per_c_through": {"Ha": -20}}}, None),
        ({"triggers": {"temperature_c": 1}, "thermometer": {"source": "mean"}}, "thermometer.source is mean"),
        ({"triggers": {"temperature_c": 1}, "thermometer": {"source": "mean", "file": "/t"}}, None),
        ({"triggers": {"altitude_deg": 20}}, "Set mount"),
        ({"compensation": {"enabled": True, "altitude_steps": 20}}, "Set mount"),
        ({"compensation": {"altitude_steps": 20}}, None),
        ({"triggers": {"altitude_deg": 20}, "mount": {"device_number": 0}}, None),
        ({"triggers": {"hfd_rise_percent": 20}}, "light frames"),
        ({"triggers": {"hfd_rise_percent": 20}, "imaging": {"way": "gateway"}}, None),
    ],
)
def test_settings_that_contradict_themselves(sections: dict[str, object], words: str | None) -> None:
    found = contradictions(settings_of(**sections))
    assert len(found) == (0 if words is None else 1)
    assert (words or "") in "".join(found)


@pytest.mark.parametrize(
    "sections",
    [
        {"triggers": {"temperature_zones": 0.5}},
        {"triggers": {"temperature_zones": 0.5}, "focuser": {"temperature_coefficient_steps_per_c": 0.0}},
        {"compensation": {"enabled": True}},
        {"triggers": {"temperature_c": 1}, "thermometer": {"source": "external"}},
    ],
)
def test_no_night_begins_without_what_it_waits_for(sections: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        refuse_obstacles(settings_of(**sections))
    assert str(caught.value) in contradictions(settings_of(**sections))


def test_a_trigger_that_never_fires_keeps_no_night_from_beginning() -> None:
    blind = settings_of(triggers={"hfd_rise_percent": 20, "altitude_deg": 20, "minutes": 60})
    assert refuse_obstacles(blind) is blind
    assert len(contradictions(blind)) == 2
