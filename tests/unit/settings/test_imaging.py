"""The settings for living beside an imaging program: nonsense is refused, at its place."""

from pathlib import Path

import pytest

from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.settings.interface_models import ImagingSection
from alpaca_focus.settings.loader import parse_yaml
from alpaca_focus.settings.models import Settings

TELESCOPE = "telescope: {focal_length_mm: 530, aperture_mm: 106}\n"
NONSENSE: dict[str, tuple[str, ...]] = {
    "way": ("ask", "null", "true"),
    "folder": ("''", "3"),
    "folder_pattern": ("''", "3", "null"),
}


def message_of(text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parse_yaml(f"{TELESCOPE}imaging: {{{text}}}\n", Settings, source="night.yaml")
    message = str(caught.value)
    assert message.startswith("night.yaml:2:")
    assert "\n" not in message
    return message


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in NONSENSE.items() for value in values])
def test_nonsense_is_refused_in_one_line_at_its_place(name: str, value: str) -> None:
    assert f" imaging.{name}: " in message_of(f"{name}: {value}")


def test_no_setting_is_left_out_here() -> None:
    assert set(ImagingSection.model_fields) == set(NONSENSE)


def test_the_gateway_needs_no_folder() -> None:
    message = message_of("way: gateway, folder: /frames")
    assert " imaging.folder: " in message
    assert "the gateway sees every frame itself" in message


@pytest.mark.parametrize("way", ["watch", "told"])
def test_the_other_values_of_way_allow_a_folder(way: str) -> None:
    settings = parse_yaml(f"{TELESCOPE}imaging: {{way: {way}, folder: ~/frames}}\n", Settings, source="night.yaml")
    assert (settings.imaging.folder, settings.imaging.folder_pattern) == (str(Path.home() / "frames"), "*")
