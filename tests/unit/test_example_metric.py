"""A further metric takes one row and one function: a copy of the package has it after a change of two files."""

import filecmp
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from astropy.io import fits

import alpaca_focus
from tests.example_metric import FUNCTION, NAME, ROW, drawn_pixels
from tests.fakes import SETTINGS

PACKAGE = Path(alpaca_focus.__file__).parent
ROOT = PACKAGE.parent
LAST_ROW = '    Metric(\n        name="nsig",\n'
SETTINGS_FILE = f"telescope: {{focal_length_mm: 480, aperture_mm: 80}}\nfocus: {{metric: {NAME}}}\n"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of the package that has the example."""
    folder = tmp_path_factory.mktemp("house")
    copy = folder / "alpaca_focus"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    table = copy / "core" / "metrics.py"
    text = table.read_text()
    assert text.count(LAST_ROW) == 1
    table.write_text(text.replace(LAST_ROW, ROW + LAST_ROW))
    with (copy / "imaging" / "measuring_functions.py").open("a") as functions:
        functions.write(FUNCTION)
    return folder


def run(house: Path, *arguments: str | Path) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(house), str(ROOT)))}
    done = subprocess.run(
        [sys.executable, "-m", *map(str, arguments)],
        cwd=house,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def frames(house: Path) -> Path:
    folder = house / "frames"
    folder.mkdir()
    for position in range(900, 1101, 25):
        unit = fits.PrimaryHDU(drawn_pixels(math.hypot(3.0, 0.06 * (position - 1010))))
        unit.header["FOCUSPOS"] = position
        unit.writeto(folder / f"{position}.fits")
    return folder


def test_it_takes_two_files(house: Path) -> None:
    changed = [
        path.relative_to(PACKAGE)
        for path in PACKAGE.rglob("*.py")
        if not filecmp.cmp(path, house / "alpaca_focus" / path.relative_to(PACKAGE), shallow=False)
    ]
    assert sorted(changed) == [Path("core/metrics.py"), Path("imaging/measuring_functions.py")]


def test_the_settings_take_and_explain_it(house: Path) -> None:
    path = house / "settings.yaml"
    path.write_text(SETTINGS_FILE)
    run(house, "alpaca_focus", "check", path)
    schema = json.loads(run(house, "alpaca_focus", "schema"))
    setting = schema["$defs"]["FocusSection"]["properties"]["metric"]
    assert NAME in setting["enum"]
    assert f"{NAME}, how steep the light is" in setting["description"]


@pytest.fixture(scope="module")
def swept(house: Path) -> dict[str, Any]:
    return dict(json.loads(run(house, "tests.example_metric")))


def test_a_sweep_finds_focus_by_it(swept: dict[str, Any]) -> None:
    assert swept["model"] == "hyperbola of the reciprocal"
    assert abs(swept["off_steps"]) < SETTINGS.critical_focus_zone_steps / 2
    assert swept["verification"].startswith("Sharpness ")
    assert swept["verification"].endswith(" ADU^0.5")
    assert swept["heading"] == "Sharpness ADU^0.5"


def test_frames_are_measured_reported_and_fitted_by_it(house: Path, frames: Path) -> None:
    line = run(house, "alpaca_focus", "measure", "--metric", NAME, frames / "1000.fits")
    assert line.startswith("1000.fits: Sharpness = ")
    assert " +- " in line
    header, *rows = run(house, "alpaca_focus", "measure", "--metric", NAME, "--csv", frames).splitlines()
    assert header == f"file,metric,{NAME},{NAME}_stderr,usable,reason,position"
    assert len(rows) == len(list(frames.iterdir()))
    table = house / "table.csv"
    table.write_text("\n".join([header, *rows]))
    for files in (("--metric", NAME, frames), (table,)):
        best = json.loads(run(house, "alpaca_focus", "fit", "--json", *files))
        assert best["metric"] == NAME
        assert best["model"] == "hyperbola of the reciprocal"
        assert best["best_position"] == pytest.approx(1010, abs=5)


def test_the_dashboard_knows_its_name(swept: dict[str, Any]) -> None:
    assert '"sharpness": "Sharpness"' in swept["dashboard"]
