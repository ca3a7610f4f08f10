"""The page of the architecture follows the code: its drawing is current, and the modules it names exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "architecture.md"
NAMES_A_FILE = re.compile(r"`((?:[a-z_]+/)+[a-z_]+\.py|ports\.py)`")


def test_the_drawing_is_current() -> None:
    result = subprocess.run(
        [sys.executable, ROOT / "tools" / "draw-house", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr


def test_every_module_on_the_page_exists() -> None:
    named = set(NAMES_A_FILE.findall(PAGE.read_text()))
    assert len(named) > 30
    assert not [
        name for name in sorted(named) if not any((root / name).exists() for root in (ROOT, ROOT / "alpaca_focus"))
    ]


def test_every_room_is_in_the_table() -> None:
    text = PAGE.read_text()
    rooms = {
        path.stem
        for path in (ROOT / "alpaca_focus").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert not [
        room for room in sorted(rooms - {"__init__", "__main__"}) if not re.search(rf"`{room}(?:\.py|/\w+)?`", text)
    ]
