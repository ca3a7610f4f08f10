"""`alpaca-focus history` and `report`, as a user runs them."""

import json
from collections.abc import Callable
from pathlib import Path

from alpaca_focus.core.values import Light
from alpaca_focus.store.run_store import RunStore
from tests.system.conftest import Run
from tests.unit.store.test_run_store import NIGHT, result


def kept(folder: Path, count: int = 3) -> Path:
    with RunStore(folder) as store:
        for exposures in range(4, 4 + count):
            store.save(result(exposures=exposures), trigger="asked for")
    return folder


def test_runs_are_listed_the_newest_first(run: Run, tmp_path: Path) -> None:
    done = run("history", "--directory", kept(tmp_path), "--last", "2")
    assert done.returncode == 0, done.stderr
    heading, *lines = done.stdout.splitlines()
    assert heading.split()[:3] == ["run", "started", "(UTC)"]
    assert [line.split()[0] for line in lines] == ["3", "2"]
    assert "2026-01-01 22:30" in lines[0]
    assert lines[0].split()[-3:] == ["asked", "for", "focused"]


def test_the_settings_say_where_the_history_is(run: Run, tmp_path: Path) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text(
        f"telescope: {{focal_length_mm: 530, aperture_mm: 106}}\nstorage: {{directory: '{kept(tmp_path / 'kept')}'}}\n"
    )
    done = run("history", "--config", settings, "--json")
    runs = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["run"] for each in runs] == [3, 2, 1]
    assert runs[0]["trigger"] == "asked for"
    assert runs[0]["fit"]["best_position"] == 5000.4


def test_light_frames_are_listed(run: Run, tmp_path: Path) -> None:
    with RunStore(tmp_path) as store:
        store.save_light(Light(ended_at=NIGHT, hfd_px=2.754, position=5000, filter_name="Ha", temperature_c=-3.5))
        store.save_light(Light(ended_at=NIGHT, hfd_px=3.0))
    _, *lines = run("history", "--frames", "--directory", tmp_path).stdout.splitlines()
    assert [line.split() for line in lines] == [
        ["2026-01-01", "22:30:15", "-", "-", "-", "3.00"],
        ["2026-01-01", "22:30:15", "Ha", "-3.5", "5000", "2.75"],
    ]
    done = run("history", "--frames", "--json", "--last", "1", "--directory", tmp_path)
    assert json.loads(done.stdout)["hfd_px"] == 3.0


def test_a_run_is_shown_whole(run: Run, tmp_path: Path) -> None:
    picture = tmp_path / "run.png"
    done = run("report", "2", "--directory", kept(tmp_path), "--plot", picture)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Run 2, 2026-01-01 22:30:15 UTC, asked for.")
    assert "hyperbola: best 5000.4 +- 1.5 steps" in done.stdout
    assert "Focused at position 5000." in done.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")
    whole = json.loads(run("report", "2", "--directory", tmp_path, "--json").stdout)
    assert (whole["run"], len(whole["samples"])) == (2, 3)


def test_mistakes_are_one_sentence(run: Run, tmp_path: Path) -> None:
    cases: list[tuple[Callable[[], list[str]], str]] = [
        (lambda: ["history"], "No history is given"),
        (lambda: ["history", "--directory", str(tmp_path / "nothing")], "no run has been saved there"),
        (lambda: ["report", "99", "--directory", str(kept(tmp_path))], "There is no run 99"),
    ]
    for arguments, sentence in cases:
        done = run(*arguments())
        assert done.returncode == 2
        assert sentence in done.stderr
        assert len(done.stderr.splitlines()) == 1
