"""The dashboard for Grafana asks for meters that there are."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from alpaca_focus.core.status import measured_light
from alpaca_focus.core.values import Light
from alpaca_focus.feed.feed import Feed
from alpaca_focus.feed.run_progress import RunTally
from alpaca_focus.web.prometheus import PrometheusExporter
from alpaca_focus.web.source import NightSource
from tests.statuses import LAST_FOCUS, a_status

FILE = Path(__file__).parent.parent.parent / "docs" / "grafana-dashboard.json"
STATUS = a_status(temperature_c=4.0, position=25400, last_focus=LAST_FOCUS)


@pytest.fixture
def dashboard() -> dict[str, Any]:
    return cast("dict[str, Any]", json.loads(FILE.read_text()))


def meters() -> set[str]:
    """Return the names of all meters of a night in which everything is known."""
    feed = Feed(lambda: datetime.now(UTC))
    feed.publish("status", STATUS)
    feed.publish("light", measured_light(Light(ended_at=datetime.now(UTC), hfd_px=2.5)))
    night = SimpleNamespace(
        feed=feed, version="1.2.3", viewers=SimpleNamespace(count=1), runs=SimpleNamespace(tally=RunTally())
    )
    lines = PrometheusExporter(cast("NightSource", night)).text().decode().splitlines()
    return {re.split(r"[{ ]", line)[0] for line in lines if not line.startswith("#")}


def queries(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        for key, value in part.items():
            if key in {"expr", "definition"}:
                yield value
            yield from queries(value)
    elif isinstance(part, list):
        for each in part:
            yield from queries(each)


def test_every_meter_that_is_asked_for_exists(dashboard: dict[str, Any]) -> None:
    asked = set(re.findall(r"\b(?:alpaca_focus|process)_\w+", " ".join(queries(dashboard))))
    assert asked - meters() == set()
    assert len(asked) > 12


def test_panels_have_their_own_numbers_and_places(dashboard: dict[str, Any]) -> None:
    panels = dashboard["panels"]
    assert len({each["id"] for each in panels}) == len(panels)
    taken = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) < 24


def test_every_curve_is_that_of_the_telescopes_that_were_chosen_and_bears_their_names(
    dashboard: dict[str, Any],
) -> None:
    names = [each["name"] for each in dashboard["templating"]["list"]]
    assert names == ["datasource", "telescope", "instance"]
    for name in ("telescope", "instance"):
        (variable,) = [each for each in dashboard["templating"]["list"] if each["name"] == name]
        assert variable["definition"].startswith("label_values(alpaca_focus_info")
        # A Prometheus that knows no such label shows all the same.
        assert (variable["allValue"], variable["multi"]) == (".*", True)
    for query in queries({key: part for key, part in dashboard.items() if key != "templating"}):
        meters = re.findall(r"\b(?:alpaca_focus|process)_\w+\{([^}]*)\}", query)
        assert meters, query
        assert all('telescope=~"$telescope",instance=~"$instance"' in labels for labels in meters)
    legends = [target["legendFormat"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert sum("{{telescope}}" in legend for legend in legends) > 12


def test_nothing_in_it_is_tied_to_one_grafana(dashboard: dict[str, Any]) -> None:
    assert {each["datasource"]["uid"] for each in dashboard["panels"]} == {"${datasource}"}
    assert "id" not in dashboard
