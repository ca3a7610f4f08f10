"""Every setting, from the models that check them."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from alpaca_focus.settings.models import json_schema

UNITS = (
    ("_steps_per_c", "focuser steps a degree Celsius"),
    ("_arcsec", "arcseconds"),
    ("_percent", "per cent"),
    ("_zones", "critical focus zones"),
    ("_steps", "focuser steps"),
    ("_deg", "degrees"),
    ("_mm", "mm"),
    ("_um", "micrometres"),
    ("_px", "pixels"),
    ("_c", "degrees Celsius"),
    ("_s", "seconds"),
)
"""By the end of a name."""
UNITS_BY_NAME: Mapping[str, str] = MappingProxyType(
    {"triggers.minutes": "minutes", "focuser.backlash.steps": "focuser steps"}
)
EXAMPLES: Mapping[str, object] = MappingProxyType(
    {
        "telescope.focal_length_mm": 480,
        "telescope.aperture_mm": 80,
        "camera.pixel_size_um": 3.76,
        "camera.unique_id": "a1b2c3d4-0001",
        "focuser.step_size_um": 1.2,
        "focuser.min_position": 500,
        "focuser.max_position": 60000,
        "focuser.tolerance_steps": 5,
        "focuser.temperature_coefficient_steps_per_c": -12.5,
        "focuser.backlash.steps": 60,
        "filter_wheel.focus_offsets_steps": {"L": 0, "Ha": 24},
        "guider.timeout_s": 60.0,
        "focus.gain": 100,
        "focus.offset": 30,
        "focus.filters": {"Ha": {"exposure_s": 12}},
        "focus.filters.NAME.exposure_s": 12,
        "focus.filters.NAME.binning": 2,
        "focus.filters.NAME.gain": 200,
        "focus.filters.NAME.offset": 30,
        "focus.filters.NAME.focus_through": "L",
        "focus.spectrum.x0": 200,
        "focus.spectrum.x1": 900,
        "focus.step_steps": 120,
        "focus.max_travel_steps": 3000,
        "site.latitude_deg": 47.1,
        "site.longitude_deg": 8.4,
        "thermometer.file": "/run/weather/temperature",
        "thermometer.url": "http://192.168.1.30/temperature",
        "triggers.temperature_c": 1.0,
        "triggers.temperature_zones": 0.5,
        "triggers.images": 20,
        "triggers.minutes": 60,
        "triggers.hfd_rise_percent": 15,
        "triggers.altitude_deg": 20,
        "triggers.uncertainty_zones": 0.5,
        "compensation.steps_per_c_through": {"Ha": -13.1},
        "compensation.dead_zone_zones": 0.1,
        "compensation.most_steps_per_hour": 200,
        "compensation.most_steps": 600,
        "messages.services_file": "~/.config/alpaca-focus/services",
        "mqtt.user": "focus",
        "mqtt.password": "a secret",
        "mqtt.password_file": "~/.config/alpaca-focus/mqtt",
        "web.token": "a-secret-of-your-own",
    }
)
"""For settings that have neither an example in their model nor a default."""
LIKE_THE_CAMERA = ("unique_id", "address")
"""Settings of every device."""
KINDS: Mapping[str, str] = MappingProxyType(
    {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false"}
)
INTRODUCTION = """# Every setting

The settings are a YAML file. Only [`telescope.focal_length_mm`](#telescope.focal_length_mm) and
[`telescope.aperture_mm`](#telescope.aperture_mm) must be there; everything else may be left out. A name that does not
exist, a value of another kind or beyond its limits is refused, with the line and the column, before anything moves:
`alpaca-focus check FILE` tries it. Units are in the names. `~` at the beginning of a path is the home folder, and
a relative path starts from the folder of the settings file.

This page is made from the models that check the file, so it is complete. Editors that know JSON schemas complete and
check as one types with `config/alpaca-focus.schema.json`, which `alpaca-focus schema` prints.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One line of the settings file.

    Attributes:
        path: Its name with those of the sections around it.
        description: What it is.
        kind: What may be written.
        unit: Of its value; empty: none.
        default: What holds when it is left out, as YAML; empty: it must be given, or nothing.
        limits: Of its value, in words; empty: none.
        required: Whether its section needs it.
        example: As one line of YAML.
    """

    path: str
    description: str
    kind: str
    unit: str
    default: str
    limits: str
    required: bool
    example: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionOfSettings:
    """A section of the settings file.

    Attributes:
        path: Its name with those of the sections around it.
        description: What it is about.
        settings: Its own, without those of the sections in it.
        optional: Whether the section may be left out, with all its settings.
    """

    path: str
    description: str
    settings: tuple[Setting, ...]
    optional: bool


def sections() -> Iterator[SectionOfSettings]:
    """Return all sections in the order of the models."""
    schema = json_schema()
    for name, described in schema["properties"].items():
        yield from _sections_of(schema, name, described)


def page() -> str:
    """Return the page as Markdown."""
    parts = [INTRODUCTION]
    for section in sections():
        parts.append(f"## {section.path} {{ #{section.path} }}\n\n{section.description}.")
        if section.optional:
            parts.append("Left out, there is none.")
        parts.extend(_setting_text(setting) for setting in section.settings)
    return "\n\n".join(parts) + "\n"


def _setting_text(setting: Setting) -> str:
    facts = [f"**{setting.kind}**" + (f", {setting.unit}" if setting.unit else "")]
    if setting.required:
        facts.append("must be given")
    elif setting.default:
        facts.append(f"default `{setting.default}`")
    if setting.limits:
        facts.append(setting.limits)
    return (
        f"### `{setting.path}` {{ #{setting.path} .setting }}\n\n{'; '.join(facts)}. "
        f"Example: `{setting.example}`\n\n{setting.description}."
    )


def _sections_of(schema: Mapping[str, Any], path: str, described: Mapping[str, Any]) -> Iterator[SectionOfSettings]:
    model, optional = _model(schema, described)
    own, inner = [], []
    for name, each in model["properties"].items():
        below = f"{path}.{name}"
        if _is_section(schema, each):
            inner.append((below, each))
            continue
        own.append(_setting(below, each, required=name in model.get("required", ())))
        values = each.get("additionalProperties", {})
        if "$ref" in values:
            inner.append((f"{below}.NAME", values | {"description": each["description"]}))
    yield SectionOfSettings(
        path=path,
        description=described["description"].rstrip("."),
        settings=tuple(own),
        optional=optional,
    )
    for below, each in inner:
        yield from _sections_of(schema, below, each)


def _references(described: Mapping[str, Any]) -> list[str]:
    choices = described.get("anyOf") or described.get("allOf") or [described]
    return [choice["$ref"].rsplit("/", 1)[1] for choice in choices if "$ref" in choice]


def _is_section(schema: Mapping[str, Any], described: Mapping[str, Any]) -> bool:
    return any("properties" in schema["$defs"][name] for name in _references(described))


def _model(schema: Mapping[str, Any], described: Mapping[str, Any]) -> tuple[Mapping[str, Any], bool]:
    found: Mapping[str, Any] = schema["$defs"][_references(described)[0]]
    return found, described.get("default", ...) is None


def _setting(path: str, described: Mapping[str, Any], *, required: bool) -> Setting:
    choices = [each for each in described.get("anyOf", [described]) if each.get("type") != "null"]
    choice = choices[0]
    default = described.get("default")
    has_default = default is not None and default not in ("", [], {})
    return Setting(
        path=path,
        description=described["description"].rstrip("."),
        kind=_kind(choice),
        unit=_unit(path),
        default=_yaml(default) if has_default else "",
        limits=_limits(choice),
        required=required,
        example=f"{path.rsplit('.', 1)[1]}: {_yaml(example(path, described))}",
    )


def example(path: str, described: Mapping[str, Any]) -> object:
    """Return a value that may be written.

    Raises:
        KeyError: There is none: give one in the model, or in `EXAMPLES`.
    """
    if described.get("examples"):
        return described["examples"][-1]
    if path in EXAMPLES:
        return EXAMPLES[path]
    section, name = path.rsplit(".", 1)
    if name in LIKE_THE_CAMERA and section != "camera":
        return {"unique_id": "a1b2c3d4-0001", "address": "observatory.local:11111"}[name]
    if name == "address":
        return "observatory.local:11111"
    default = described.get("default")
    if default is None:
        raise KeyError(f"{path} has no example")
    return default


def _unit(path: str) -> str:
    if path in UNITS_BY_NAME:
        return UNITS_BY_NAME[path]
    return next((unit for ending, unit in UNITS if path.endswith(ending)), "")


def _kind(choice: Mapping[str, Any]) -> str:
    if "enum" in choice:
        return " or ".join(f"`{each}`" for each in choice["enum"])
    if choice["type"] == "array":
        return "list of texts"
    if choice["type"] == "object":
        values = choice["additionalProperties"]
        return "sections by name" if "$ref" in values else f"{KINDS[values['type']]}s by name"
    return KINDS[choice["type"]]


def _limits(choice: Mapping[str, Any]) -> str:
    words = {
        "minimum": "at least {}",
        "exclusiveMinimum": "more than {}",
        "maximum": "at most {}",
        "exclusiveMaximum": "less than {}",
        "maxLength": "at most {} letters",
    }
    return ", ".join(text.format(_number(choice[name])) for name, text in words.items() if name in choice)


def _number(value: float) -> str:
    return f"{value:,}".replace(",", " ") if isinstance(value, int) else f"{value:g}"


def _yaml(value: object) -> str:
    """Return a value as YAML on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {_yaml(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_yaml(each) for each in value) + "]"
    if isinstance(value, str):
        return value if value.replace(" ", "").replace("_", "").isalpha() else json.dumps(value, ensure_ascii=False)
    return json.dumps(value)
