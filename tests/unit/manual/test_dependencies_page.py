"""The page of the libraries, against what is installed."""

import re
import tomllib
from pathlib import Path

import pytest

from tools.manual import dependencies_page
from tools.manual.dependencies_page import PROJECT, libraries, page


def test_every_library_that_is_asked_for_has_a_reason_and_a_weight() -> None:
    asked = tomllib.loads(PROJECT.read_text())["project"]["dependencies"]
    found = {each.name: each for each in libraries()}
    assert len(found) == len(asked) > 20
    assert all(each.reason and each.own_mb > 0 and each.brought_mb >= each.own_mb for each in found.values())
    assert "pillow" in found["matplotlib"].brought
    assert "numpy" not in found["scipy"].brought


def test_the_page_names_each_and_the_sum() -> None:
    text = page()
    for each in libraries():
        assert f"| {each.name} | {each.version} |" in text
    total = re.search(r"Together (\d+) MB in (\d+) libraries", text)
    assert total is not None
    assert int(total[1]) >= sum(each.own_mb for each in libraries()) - 1
    assert int(total[2]) > len(libraries())


def test_one_without_a_reason_stops_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text('[project]\ndependencies = [\n    "numpy>=2.0",\n]\n')
    monkeypatch.setattr(dependencies_page, "PROJECT", file)
    with pytest.raises(ValueError, match="no reason for numpy"):
        libraries()
