"""The settings that the pages show are taken as they stand."""

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from alpaca_focus.settings.models import Settings

ROOT = Path(__file__).parent.parent.parent.parent
BLOCK = re.compile(r"^( *)```yaml\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
TELESCOPE = {"focal_length_mm": 480.0, "aperture_mm": 80.0}
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def shown_in(path: Path) -> list[dict[str, Any]]:
    """Return the parts of settings files; those of the simulator have other sections."""
    told = [YAML(typ="safe").load(text) for _, text in BLOCK.findall(path.read_text())]
    return [each for each in told if isinstance(each, dict) and each.keys() <= Settings.model_fields.keys()]


@pytest.mark.parametrize("path", [path for path in PAGES if shown_in(path)], ids=lambda path: path.stem)
def test_settings_in_the_pages_are_good(path: Path) -> None:
    for shown in shown_in(path):
        Settings.model_validate({"telescope": TELESCOPE} | shown)


def test_there_are_such_pages() -> None:
    assert sum(len(shown_in(path)) for path in PAGES) > 15
