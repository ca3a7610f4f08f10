"""The reference of the settings is complete, and what it gives as examples is taken."""

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel
from ruamel.yaml import YAML

from alpaca_focus.settings.models import Settings
from tools.manual.settings_page import Setting, example, page, sections

REQUIRED: dict[str, Any] = {"telescope": {"focal_length_mm": 480.0, "aperture_mm": 80.0}}
TOGETHER: dict[str, dict[str, object]] = {
    "focuser.backlash": {"steps": 60},
    "site.latitude_deg": {"longitude_deg": 8.4},
    "site.longitude_deg": {"latitude_deg": 47.1},
    "guider.settle_s": {"timeout_s": 60.0},
    "web.listen": {"allow": ["192.168.1.20"]},
    "web.allow": {"listen": "192.168.1.10"},
    "gateway.listen": {"allow": ["192.168.1.20"]},
    "gateway.allow": {"listen": "192.168.1.10"},
}
"""What an example needs beside it."""


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for each in get_args(annotation):
        yield from models_in(each)


def fields_of(model: type[BaseModel], path: str) -> Iterator[tuple[str, Any]]:
    """Walk the models themselves, not the schema that the page is made from."""
    for name, field in model.model_fields.items():
        below = f"{path}{name}"
        yield below, field
        for inner in models_in(field.annotation):
            named = f"{below}.NAME." if "dict" in str(field.annotation) else f"{below}."
            yield from fields_of(inner, named)


ALL = [setting for section in sections() for setting in section.settings]


def test_every_field_of_the_models_is_there() -> None:
    text = page()
    missing = [path for path, _ in fields_of(Settings, "") if f"{{ #{path}" not in text]
    assert not missing
    assert len(ALL) > 100


def test_every_setting_is_described() -> None:
    undescribed = [path for path, field in fields_of(Settings, "") if not field.description]
    assert not undescribed


def test_what_is_not_there_is_not_described() -> None:
    assert {setting.path for setting in ALL} <= {path for path, _ in fields_of(Settings, "")}


@pytest.mark.parametrize("setting", ALL, ids=lambda setting: setting.path)
def test_the_example_is_taken(setting: Setting) -> None:
    section, _ = setting.path.rsplit(".", 1)
    written = YAML(typ="safe").load(setting.example)
    document: dict[str, Any] = {name: dict(values) for name, values in REQUIRED.items()}
    place = document
    for name in section.split("."):
        place = place.setdefault(name, {})
    place.update(TOGETHER.get(section, {}) | TOGETHER.get(setting.path, {}) | written)
    Settings.model_validate(document)


def test_a_setting_without_any_example_is_told() -> None:
    with pytest.raises(KeyError, match=r"site\.height_m has no example"):
        example("site.height_m", {"description": "How high it stands", "type": "number"})


def test_a_setting_is_told_with_all_that_is_known_of_it() -> None:
    text = page()
    start = text.index("### `focuser.settle_s`")
    told = text[start : text.index("###", start + 4)]
    assert "**number**, seconds; default `1.0`; at least 0, at most 600. Example: `settle_s: 1.0`" in told
    assert "Wait between a move and the next exposure, in seconds." in told
