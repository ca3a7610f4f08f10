"""From the settings to what the night is kept by: every number where it belongs."""

from types import SimpleNamespace
from typing import Any

import pytest

from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.core.night.compensation import CompensationSettings
from alpaca_focus.core.night.focuser_watch import PositionRules
from alpaca_focus.core.night.state import Patience, Reading
from alpaca_focus.core.night.triggers import (
    AfterImages,
    AfterTime,
    AltitudeChange,
    FilterChange,
    FocusUncertainty,
    HfdRise,
    TemperatureChange,
    Trigger,
    as_soon_as_possible,
    meridian_flip,
    unverified_position,
)
from alpaca_focus.core.sweep.backlash import ApproachMethod, Backlash, Direction, Limits
from alpaca_focus.daemon.night_settings import night_settings, triggers
from alpaca_focus.night.dependencies import NightSettings
from alpaca_focus.run.device_adapters import Devices
from alpaca_focus.settings.models import Settings
from tests.fakes import FakeCamera, FakeClock, FakeFocuser
from tests.night_scene import FakeWheel

ZONE_STEPS = 4.88 * 0.55 * 5.0**2
START = 25000


def settings_of(**sections: Any) -> Settings:
    return Settings.model_validate({"telescope": {"focal_length_mm": 500, "aperture_mm": 100}} | sections)


def night_of(**sections: Any) -> NightSettings:
    focuser = FakeFocuser()
    devices = Devices(
        connected={
            "camera": FakeCamera(SimpleNamespace(), FakeClock()),  # type: ignore[arg-type]
            "focuser": focuser,
            "filter_wheel": FakeWheel(),
        }
    )
    return night_settings(settings_of(**sections), devices, start=START)


def error_of(**sections: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        night_of(**sections)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    return sentence


def test_without_any_setting_only_a_wish_is_a_trigger() -> None:
    night = night_of()
    assert night.triggers == (as_soon_as_possible, unverified_position)
    assert night.compensation is None
    assert night.between_exposures
    assert night.night_below_deg == -18.0
    assert night.reading == Reading(every_s=10.0, count=60, followed_count=12)
    assert night.patience == Patience(first_s=600.0, longest_s=4800.0)
    assert dict(night.offsets_steps) == {}
    assert night.positions == PositionRules(tolerance_steps=3, own_steps=ZONE_STEPS, quiet_s=60.0, is_trigger=True)


@pytest.mark.parametrize(
    ("setting", "trigger"),
    [
        ({"temperature_c": 0.8}, TemperatureChange(limit_c=0.8, readings=60)),
        ({"images": 30}, AfterImages(30)),
        ({"minutes": 90.0}, AfterTime(5400.0)),
        ({"filter_change": "refocus"}, FilterChange(ask_s=60.0, by_hand=True)),
        ({"filter_change": "offset"}, FilterChange(ask_s=60.0, by_hand=True)),
        (
            {"filter_change": "refocus", "filter_by_hand": {"ask_s": 5.0, "then": "nothing"}},
            FilterChange(ask_s=5.0, by_hand=False),
        ),
        ({"meridian_flip": True}, meridian_flip),
        ({"hfd_rise_percent": 25.0, "hfd_frames": 7}, HfdRise(share=0.25, frames=7)),
        ({"altitude_deg": 15.0}, AltitudeChange(15.0)),
        ({"uncertainty_zones": 0.5}, FocusUncertainty(0.5 * ZONE_STEPS)),
    ],
)
def test_each_setting_gives_its_trigger_and_no_other(setting: dict[str, Any], trigger: Trigger) -> None:
    assert night_of(triggers=setting).triggers == (as_soon_as_possible, unverified_position, trigger)


def test_all_triggers_go_together() -> None:
    found = triggers(
        settings_of(
            triggers={
                "temperature_c": 1.0,
                "images": 30,
                "minutes": 90.0,
                "filter_change": "offset",
                "meridian_flip": True,
                "hfd_rise_percent": 20.0,
                "altitude_deg": 15.0,
                "uncertainty_zones": 1.0,
            },
            thermometer={"readings": 20},
        ),
        ZONE_STEPS,
    )
    assert len(found) == len({getattr(each, "__name__", type(each)) for each in found}) == 10
    assert TemperatureChange(limit_c=1.0, readings=20) in found


@pytest.mark.parametrize("coefficient", [-20.0, 20.0])
def test_a_temperature_in_zones_is_turned_into_degrees(coefficient: float) -> None:
    night = night_of(triggers={"temperature_zones": 0.5}, focuser={"temperature_coefficient_steps_per_c": coefficient})
    (_, _, trigger) = night.triggers
    assert isinstance(trigger, TemperatureChange)
    assert trigger.limit_c == pytest.approx(0.5 * ZONE_STEPS / 20.0)


@pytest.mark.parametrize("focuser", [{}, {"temperature_coefficient_steps_per_c": 0.0}])
def test_a_temperature_in_zones_needs_a_coefficient(focuser: dict[str, float]) -> None:
    sentence = error_of(triggers={"temperature_zones": 0.5}, focuser=focuser)
    assert "triggers.temperature_zones needs focuser.temperature_coefficient_steps_per_c" in sentence
    assert "alpaca-focus calibrate temperature" in sentence


def uncertainty_limit_steps(**sections: Any) -> float:
    (_, _, trigger) = night_of(triggers={"uncertainty_zones": 1.0}, **sections).triggers
    assert isinstance(trigger, FocusUncertainty)
    return trigger.limit_steps


def test_the_zone_is_that_of_the_formula_that_is_set() -> None:
    seeing = {"zone": "seeing", "seeing_fwhm_arcsec": 3.0, "tolerance_percent": 25.0}
    assert uncertainty_limit_steps() == pytest.approx(ZONE_STEPS)
    # 0.00225 x theta x sqrt(tau) x A x N^2, with steps of 1 um and of 2 um.
    assert uncertainty_limit_steps(night=seeing) == pytest.approx(0.00225 * 3.0 * 5.0 * 100 * 25)
    assert uncertainty_limit_steps(night=seeing, focuser={"step_size_um": 2.0}) == pytest.approx(
        0.00225 * 3.0 * 5.0 * 100 * 25 / 2
    )


COEFFICIENT = {"temperature_coefficient_steps_per_c": -12.5}


def test_the_compensation_takes_over_every_setting() -> None:
    night = night_of(
        focuser=COEFFICIENT,
        compensation={
            "enabled": True,
            "steps_per_c_through": {"Ha": -14.0},
            "altitude_steps": 20.0,
            "readings": 6,
            "when": "any time",
            "dead_zone_steps": 3.0,
            "most_steps_per_hour": 200,
            "most_steps": 500,
        },
    )
    assert night.compensation == CompensationSettings(
        steps_per_c=-12.5,
        steps_per_c_through={"Ha": -14.0},
        altitude_steps=20.0,
        dead_zone_steps=3.0,
        most_steps_per_hour=200,
        most_steps=500,
    )
    assert not night.between_exposures
    assert night.reading.followed_count == 6


def test_a_dead_zone_in_zones_is_turned_into_steps() -> None:
    night = night_of(focuser=COEFFICIENT, compensation={"enabled": True, "dead_zone_zones": 0.1})
    assert night.compensation is not None
    assert night.compensation.dead_zone_steps == pytest.approx(0.1 * ZONE_STEPS)


def test_a_coefficient_of_one_filter_or_of_altitude_is_enough() -> None:
    through = night_of(compensation={"enabled": True, "steps_per_c_through": {"Ha": -14.0}}).compensation
    assert through is not None
    assert (through.coefficient("Ha"), through.coefficient("L")) == (-14.0, 0.0)
    tilted = night_of(compensation={"enabled": True, "altitude_steps": 20.0}).compensation
    assert tilted is not None
    assert tilted.steps_per_c == 0.0


def test_compensation_that_knows_nothing_is_refused() -> None:
    sentence = error_of(compensation={"enabled": True})
    assert "compensation.enabled needs focuser.temperature_coefficient_steps_per_c" in sentence


def test_offsets_are_moved_by_only_when_that_is_set() -> None:
    own = {"focus_offsets_steps": {"L": 0, "Ha": 31}}
    assert dict(night_of(triggers={"filter_change": "offset"}).offsets_steps) == {"L": 0, "Ha": 25}
    assert dict(night_of(triggers={"filter_change": "offset"}, filter_wheel=own).offsets_steps) == {"L": 0, "Ha": 31}
    assert dict(night_of(triggers={"filter_change": "refocus"}, filter_wheel=own).offsets_steps) == {}


def test_the_rest_of_the_settings_arrives() -> None:
    night = night_of(
        focuser={
            "min_position": 10000,
            "max_position": 40000,
            "backlash": {"steps": 120, "arrive": "out", "method": "absolute"},
        },
        focus={"max_travel_steps": 5000},
        thermometer={"every_s": 5.0, "readings": 20},
        triggers={"back_off_s": 60.0, "longest_back_off_s": 300.0},
        night={"sun_altitude_deg": None},
    )
    assert night.night_below_deg is None
    assert night.reading == Reading(every_s=5.0, count=20, followed_count=12)
    assert night.patience == Patience(first_s=60.0, longest_s=300.0)
    assert night.backlash == Backlash(steps=120, arrive=Direction.OUT, method=ApproachMethod.ABSOLUTE)
    # Each run may travel so far from where it begins; the night as a whole is not held to where it began.
    assert night.limits == Limits(lowest=10000, highest=40000)


def test_a_focuser_outside_its_limits_is_reported() -> None:
    sentence = error_of(focuser={"min_position": 30000})
    assert f"is at {START}, outside the limits 30000 to 60000" in sentence


@pytest.mark.parametrize(("way", "watches"), [("watch", True), ("told", False), ("gateway", False)])
def test_gaps_are_monitored_only_where_the_camera_is_watched(way: str, watches: bool) -> None:
    assert night_of(imaging={"way": way}).watches_for_gaps is watches
