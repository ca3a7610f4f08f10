"""The units of systemd, judged by systemd itself."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "config" / "systemd"
NAMES = ("alpaca-focus.service", "alpaca-focus@.service")
INSTALLED = "/opt/alpaca-focus/bin/alpaca-focus"
MOST_EXPOSED = 20
"""In tenths, as systemd-analyze counts: 0 is safe, 100 is not."""

SYSTEMD_ANALYZE = shutil.which("systemd-analyze")


@pytest.fixture(params=NAMES)
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A unit that starts a program of this machine; a template has a name for its instance."""
    if SYSTEMD_ANALYZE is None:
        if os.environ.get("ALPACA_FOCUS_ALL_TESTS"):
            pytest.fail("systemd-analyze is not installed, and ALPACA_FOCUS_ALL_TESTS wants all tests")
        pytest.skip("systemd-analyze is not installed")
    command = Path(sys.executable).parent / "alpaca-focus"
    text = (UNITS / request.param).read_text()
    assert INSTALLED in text
    path = tmp_path / request.param.replace("@.", "@east.")
    path.write_text(text.replace(INSTALLED, str(command)))
    return path


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    assert SYSTEMD_ANALYZE is not None
    return subprocess.run(
        [SYSTEMD_ANALYZE, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
    )


def test_systemd_finds_nothing_wrong(unit: Path) -> None:
    # It exits with 0 even for an unknown key, and only prints a warning.
    done = analyze("verify", "--man=no", unit)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_systemd_finds_them_well_closed(unit: Path) -> None:
    done = analyze("security", "--offline=true", f"--threshold={MOST_EXPOSED}", "--no-pager", unit)
    assert done.returncode == 0, done.stdout[-300:] + done.stderr


def test_the_template_differs_only_in_the_names_of_its_telescope() -> None:
    one, template = ((UNITS / name).read_text() for name in NAMES)
    named = (
        template.replace("/%i.yaml", "/alpaca-focus.yaml")
        .replace("alpaca-focus/%i", "alpaca-focus")
        .replace("the telescope %i in", "the telescope in")
    )
    assert _directives(named) == _directives(one)


def _directives(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith("#")]
