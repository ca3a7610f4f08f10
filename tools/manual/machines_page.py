"""Reference of the interfaces for programs: REST API and metrics, from the web server's own descriptions."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from alpaca_focus import __version__
from alpaca_focus.core.errors import AlpacaFocusError
from alpaca_focus.core.status import WATCHING, CompensationStatus, LastFocus, Status, measured_light
from alpaca_focus.core.values import Light
from alpaca_focus.feed.feed import Feed
from alpaca_focus.feed.night_curves import NightCurves
from alpaca_focus.feed.run_progress import RunTracker
from alpaca_focus.service.control_wire import Request
from alpaca_focus.web.pages import unguarded
from alpaca_focus.web.prometheus import PrometheusExporter
from alpaca_focus.web.source import NightSource

AT = datetime(2026, 1, 15, 22, tzinfo=UTC)
BUSY = Status(
    state=WATCHING,
    looks=1,
    paused=False,
    plan="light",
    due=(),
    blocked_by=(),
    triggers=(),
    exposing=False,
    silent=(),
    position=25000,
    temperature_c=5.0,
    temperature_trouble="",
    filter=None,
    altitude_deg=None,
    sun_altitude_deg=None,
    last_focus=LastFocus(
        at=AT,
        position=25000,
        trigger="time",
        metric="hfd",
        value=2.5,
        temperature_c=5.0,
        altitude_deg=None,
        filter_name=None,
        stderr_steps=3.0,
    ),
    since_s=0.0,
    images=0,
    compensation=CompensationStatus(moved_steps=0, carried_steps=0.0, stopped="", enabled=True, switched_off=False),
    gateway=None,
    advice="",
    failures=0,
    hold_s=0.0,
    ignored={},
    runs_ended=0,
    last_run=None,
)
"""A status in which every metric has a value."""
API_INTRODUCTION = """# The REST API

What the daemon serves at `http://127.0.0.1:11180` unless the section [`web`](settings.md#web) sets another
address. It describes itself at `/openapi.json` (OpenAPI), from which this page is made. [The
dashboard](../dashboard.md) explains who may view and who may command: from another computer a command needs the header
`Authorization: Bearer TOKEN`.

An error is answered with `{"error": "one sentence"}`.
"""
METRICS_INTRODUCTION = """# The metrics

What `/metrics` exports, for Prometheus; [grafana-dashboard.json](../grafana-dashboard.json) is a dashboard for them. A
metric without a value is left out: the temperature where no thermometer answers, for example. The metrics of the
process itself (`process_*`: memory, processor, open files) are there as well.

| metric | kind | meaning |
| --- | --- | --- |
"""


def api_page() -> str:
    """Return the page of the REST API as Markdown."""
    described = unguarded(_night()).openapi()
    by_subject: dict[str, list[tuple[str, str, Mapping[str, Any]]]] = {}
    for path, method, operation in _operations(described):
        by_subject.setdefault(operation["tags"][0], []).append((path, method, operation))
    parts = [API_INTRODUCTION]
    for subject, operations in by_subject.items():
        shared = set.intersection(*({*_refusals(operation["responses"])} for _, _, operation in operations))
        parts.append(f"## {subject[0].upper()}{subject[1:]}")
        parts.append(f"Each of these may also answer {_listed(sorted(shared))}.")
        parts += [_operation(path, method, each, described, shared) for path, method, each in operations]
    parts.append("## What comes back { #answers }\n\nA dash: the name of the field describes it.")
    parts += [_schema(name, schema) for name, schema in _schemas(described)]
    return "\n\n".join(parts) + "\n"


def metrics_page() -> str:
    """Return the page of the metrics as Markdown."""
    rows = [f"| `{name}` | {kind} | {text} |" for name, kind, text in exported_metrics()]
    return METRICS_INTRODUCTION + "\n".join(rows) + "\n"


def exported_metrics() -> Iterator[tuple[str, str, str]]:
    """Return name, kind and description of each metric of alpaca-focus."""
    night = _night()
    night.feed.publish("status", BUSY)
    night.feed.publish("light", measured_light(Light(ended_at=AT, hfd_px=2.5)))
    names: dict[str, str] = {}
    for line in PrometheusExporter(night).text().decode().splitlines():
        word, name, text = line.removeprefix("# ").split(" ", 2) if line.startswith("# ") else ("", "", "")
        if word == "HELP":
            names[name] = text
        elif word == "TYPE" and name.startswith("alpaca_focus"):
            yield name, text, names[name]


def _night() -> NightSource:
    async def nobody(_: Request) -> Mapping[str, object]:
        raise AlpacaFocusError("Nothing is observed here.")

    def now() -> datetime:
        return datetime.now(UTC)

    feed = Feed(now)
    return NightSource(
        feed=feed,
        answer=nobody,
        directory=Path(),
        curves=NightCurves(),
        runs=RunTracker(lambda run: feed.publish("run", run), now),
        picture=lambda: None,
        draw=lambda _: b"",
        version=__version__,
    )


def _operations(described: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


def _operation(
    path: str, method: str, operation: Mapping[str, Any], described: Mapping[str, Any], shared: set[str]
) -> str:
    lines = [f"### `{method} {path}` {{ #{operation['operationId']} }}", operation["description"]]
    requested = [
        (f"`{each['name']}` ({each['in']})", each["schema"], each.get("description", ""))
        for each in operation.get("parameters", [])
    ]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    if body is not None:
        requested += _fields(_resolved(body, described))
    if requested:
        rows = [f"| {name} | {_kind(schema)}{_limits(schema)} | {text or '-'} |" for name, schema, text in requested]
        lines.append("| parameter | kind | |\n| --- | --- | --- |\n" + "\n".join(rows))
    own = [each for each in _refusals(operation["responses"]) if each not in shared]
    lines.append(f"Answers 200 with {_answer(operation['responses']['200'])}" + (f"; {_listed(own)}." if own else "."))
    return "\n\n".join(lines)


def _answer(response: Mapping[str, Any]) -> str:
    (kind, content), *_ = response["content"].items()
    return _kind(content["schema"]) if kind == "application/json" else f"`{kind}`"


def _refusals(responses: Mapping[str, Any]) -> list[str]:
    return [f"{status} ({each['description']})" for status, each in sorted(responses.items()) if status != "200"]


def _listed(texts: list[str]) -> str:
    return "; ".join(texts)


def _limits(schema: Mapping[str, Any]) -> str:
    words = {"minimum": " from {}", "maximum": " to {}", "exclusiveMinimum": " above {}", "default": ", default {}"}
    return "".join(text.format(schema[name]) for name, text in words.items() if schema.get(name) not in (None, False))


def _schemas(described: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    request_bodies = {
        _name(each)
        for _, _, operation in _operations(described)
        for each in _choices(
            operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
        )
    }
    for name, schema in described["components"]["schemas"].items():
        if name not in request_bodies:
            yield name, schema


def _schema(name: str, schema: Mapping[str, Any]) -> str:
    rows = [f"| {field} | {_kind(each)} | {text or '-'} |" for field, each, text in _fields(schema)]
    return (
        f"### {name} {{ #{name} }}\n\n{schema.get('description', '')}\n\n| field | kind | |\n| --- | --- | --- |\n"
        + "\n".join(rows)
    )


def _fields(schema: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any], str]]:
    return [
        (f"`{name}`" + ("" if name in schema.get("required", ()) else " (may be left out)"), each, _description(each))
        for name, each in schema["properties"].items()
    ]


def _description(schema: Mapping[str, Any]) -> str:
    return str(schema.get("description", ""))


def _name(schema: Mapping[str, Any]) -> str:
    return str(schema.get("$ref", "")).rsplit("/", 1)[-1]


def _choices(schema: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    choices: list[Mapping[str, Any]] = schema.get("anyOf", [schema])
    return choices


def _resolved(schema: Mapping[str, Any], described: Mapping[str, Any]) -> Mapping[str, Any]:
    name = next(_name(each) for each in _choices(schema) if _name(each))
    found: Mapping[str, Any] = described["components"]["schemas"][name]
    return found


def _kind(schema: Mapping[str, Any]) -> str:
    """Return what a value is, with links to its parts."""
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"])
    if "$ref" in schema:
        return f"[{_name(schema)}](#{_name(schema)})"
    if "enum" in schema:
        return " or ".join(f"`{each}`" for each in schema["enum"])
    if "prefixItems" in schema:
        return f"pair ({', '.join(_kind(each) for each in schema['prefixItems'])})"
    kind = str(schema.get("type", "anything"))
    if kind == "array":
        return f"list of {_kind(schema['items'])}"
    return {"integer": "whole number", "string": "text", "boolean": "true or false", "object": "object"}.get(kind, kind)
