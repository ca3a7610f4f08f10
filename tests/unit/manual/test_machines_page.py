"""The pages for other programs say all that is served."""

import re
from pathlib import Path

import alpaca_focus.web.prometheus
from alpaca_focus.web.pages import unguarded
from tests.web_night import Page
from tools.manual.machines_page import api_page, exported_metrics, metrics_page

BY_NAME = re.compile(r'(?:_gauge\(\s*"|MetricFamily\(\s*"alpaca_focus_)(\w+)"')


def test_every_address_of_the_api_is_there(tmp_path: Path) -> None:
    text = api_page()
    described = unguarded(Page(tmp_path).night).openapi()
    for path, methods in described["paths"].items():
        for method in methods:
            assert f"### `{method.upper()} {path}`" in text
    for name in described["components"]["schemas"]:
        assert f"{{ #{name} }}" in text or name.endswith("Request"), name


def test_links_within_the_api_lead_somewhere() -> None:
    text = api_page()
    targets = set(re.findall(r"\]\(#([^)]+)\)", text))
    assert targets
    assert {each for each in targets if f"{{ #{each} }}" not in text} == set()


def test_parameters_are_listed_with_their_limits() -> None:
    text = api_page()
    assert "| `last` (query) | whole number from 1 to 500, default 20 | - |" in text
    assert "| `what` | `begin` or `end` | - |" in text


def test_every_metric_is_there() -> None:
    source = Path(alpaca_focus.web.prometheus.__file__).read_text()
    names = set(BY_NAME.findall(source))
    listed = {name.removeprefix("alpaca_focus_").removesuffix("_total") for name, _, _ in exported_metrics()}
    assert len(names) > 15
    assert names <= listed
    assert all(f"`{name}`" in metrics_page() for name, _, _ in exported_metrics())
