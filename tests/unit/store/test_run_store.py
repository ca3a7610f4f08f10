"""The history on disk: what was kept comes back equal, and damage loses nothing in silence."""

import math
import os
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from alpaca_focus.core.curves.learned_curve import LearnedCurve
from alpaca_focus.core.errors import StorageError
from alpaca_focus.core.values import Fit, FocusResult, Light, Measurement, Outcome, Sample
from alpaca_focus.store.run_store import FILE_NAME, RunStore

NIGHT = datetime(2026, 1, 1, 22, 30, 15, 123456, tzinfo=UTC)


def sample(position: int, value: float, purpose: str = "sweep") -> Sample:
    usable = math.isfinite(value)
    measurement = Measurement(
        metric="hfd",
        value=value,
        stderr=0.05 if usable else math.nan,
        star_count=12,
        usable=usable,
        reason="" if usable else "no stars found",
        flags={"saturated": 3},
        details={"fwhm_px": 2.5, "sky_adu": 400.0},
    )
    return Sample(position=position, measurement=measurement, purpose=purpose)


def result(**changes: object) -> FocusResult:
    samples = (sample(4900, 5.5), sample(5000, 2.9), sample(5100, 5.6))
    fit = Fit(
        model="hyperbola",
        best_position=5000.4,
        best_position_stderr=1.5,
        best_value=2.8,
        parameters={"slope": 0.05},
        r_squared=0.998,
        residuals=(0.1, -0.2, 0.1),
    )
    whole = FocusResult(
        outcome=Outcome.FOCUSED,
        reason="Focused at position 5000.",
        start_position=5200,
        final_position=5000,
        fit=fit,
        samples=samples,
        verification=sample(5000, 2.85, "verify"),
        started_at=NIGHT,
        duration_s=61.5,
        exposures=4,
        temperature_c=-3.25,
        filter_name="Ha",
        altitude_deg=48.5,
        temperatures_c={"focuser": -3.25, "air": -4.0},
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


PROFILE = LearnedCurve(
    slope_in=0.05,
    slope_out=0.051,
    slope_error=0.02,
    least=2.8,
    best_position=5000.4,
    temperature_c=None,
    learned_at=NIGHT,
    runs=4,
)


def test_a_run_comes_back_as_it_was(tmp_path: Path) -> None:
    with RunStore(tmp_path) as store:
        number = store.save(result(), trigger="asked for")
    with RunStore(tmp_path) as store:
        kept = store.run(number)
    assert kept is not None
    assert kept.trigger == "asked for"
    assert kept.result == result()


def test_a_run_saved_before_altitude_and_sensors_were_known_still_loads(tmp_path: Path) -> None:
    with RunStore(tmp_path) as store:
        number = store.save(result(), trigger="asked for")
        store._connection.execute(
            "UPDATE runs SET result = json_remove(result, '$.altitude_deg', '$.temperatures_c', '$.doubtful')"
        )
        kept = store.run(number)
    assert kept is not None
    assert kept.result == result(altitude_deg=None, temperatures_c={})


def test_numbers_that_are_none_come_back_as_none(tmp_path: Path) -> None:
    failed = result(
        outcome=Outcome.RESTORED, fit=None, verification=None, final_position=None, temperature_c=None, filter_name=None
    )
    failed = replace(failed, samples=(sample(4900, math.nan),))
    with RunStore(tmp_path) as store:
        number = store.save(failed, trigger="temperature")
        kept = store.run(number)
    assert kept is not None
    assert kept.result.fit is None
    assert math.isnan(kept.result.samples[0].measurement.value)
    assert kept.result.samples[0].measurement.reason == "no stars found"


def test_runs_of_one_night_are_found(tmp_path: Path) -> None:
    begin = result().started_at
    with RunStore(tmp_path) as store:
        for hours in (-30, -1, 0, 2):
            store.save(result(started_at=begin + timedelta(hours=hours)), trigger=f"{hours} h")
        elsewhere = begin.astimezone(timezone(timedelta(hours=9)))
        assert [run.trigger for run in store.runs(since=elsewhere)] == ["2 h", "0 h"]
        assert [run.trigger for run in store.runs(since=begin - timedelta(hours=24), last=2)] == ["2 h", "0 h"]


def test_runs_are_listed_the_newest_first(tmp_path: Path) -> None:
    with RunStore(tmp_path) as store:
        numbers = [store.save(result(exposures=count), trigger="asked for") for count in (3, 4, 5)]
        assert [kept.number for kept in store.runs()] == numbers[::-1]
        assert [kept.result.exposures for kept in store.runs(last=2)] == [5, 4]
        assert store.run(99) is None


def test_a_profile_belongs_to_its_train_and_filter(tmp_path: Path) -> None:
    with RunStore(tmp_path) as store:
        store.save_profile("530 mm f/5", "Ha", PROFILE)
        store.save_profile("530 mm f/5", None, replace(PROFILE, runs=1))
        store.save_profile("530 mm f/5", "Ha", replace(PROFILE, runs=5))
        assert store.profile("530 mm f/5", "Ha") == replace(PROFILE, runs=5)
        assert store.profile("530 mm f/5", None) == replace(PROFILE, runs=1)
        assert store.profile("530 mm f/5", "OIII") is None
        assert store.profile("1400 mm f/7", "Ha") is None


@pytest.mark.parametrize("damage", [b"this is no database at all, it is a text", b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_file_is_put_aside_and_a_new_one_begun(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(damage)
    with RunStore(tmp_path) as store:
        assert "damaged" in store.notice
        store.save(result(), trigger="asked for")
        assert len(store.runs()) == 1
    aside = [path for path in tmp_path.iterdir() if ".damaged-" in path.name]
    assert [path.read_bytes() for path in aside] == [damage]


def test_a_file_of_a_later_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    with RunStore(tmp_path) as store:
        store.save(result(), trigger="asked for")
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StorageError, match="later version"):
        RunStore(tmp_path)
    assert [path.name for path in tmp_path.iterdir() if "damaged" in path.name] == []


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match=r"storage\.directory"):
        RunStore(tmp_path / "file" / "below")


def test_reading_creates_nothing(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no run has been saved"):
        RunStore(tmp_path, read_only=True)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_a_sentence_and_saved_runs_stay(tmp_path: Path) -> None:
    with RunStore(tmp_path) as store:
        store.save(result(), trigger="asked for")
        store._connection.execute("PRAGMA max_page_count = 8")
        too_much = result(samples=(sample(4900, 5.5),) * 1000)
        with pytest.raises(StorageError, match="disk"):
            store.save(too_much, trigger="asked for")
        assert len(store.runs()) == 1


WRITER = """
import sys
from pathlib import Path
from alpaca_focus.store.run_store import RunStore
from tests.unit.store.test_run_store import result
with RunStore(Path(sys.argv[1])) as store:
    while True:
        print(store.save(result(), trigger="asked for"), flush=True)
"""


def test_what_was_reported_as_saved_survives_a_kill(tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, cwd=root, env={**os.environ}
    )
    assert writer.stdout is not None
    reported = [int(writer.stdout.readline()) for _ in range(5)]
    writer.send_signal(signal.SIGKILL)
    reported += [int(line) for line in writer.stdout.read().split(b"\n") if line]
    writer.wait()
    writer.stdout.close()
    with RunStore(tmp_path) as store:
        assert store.notice == ""
        kept = {run.number for run in store.runs()}
    assert set(reported) <= kept


def test_light_frames_come_back_the_newest_first(tmp_path: Path) -> None:
    known_light = Light(ended_at=NIGHT, hfd_px=2.75, position=5000, filter_name="Ha", temperature_c=-3.5)
    unknown_light = Light(ended_at=NIGHT, hfd_px=3.0)
    with RunStore(tmp_path) as store:
        store.save_light(known_light)
        store.save_light(unknown_light)
    with RunStore(tmp_path) as store:
        assert store.lights(last=20) == (unknown_light, known_light)
        assert store.lights(last=1) == (unknown_light,)
