"""The facts of the computer and of the settings."""

import asyncio
import socket
import sqlite3
import threading
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Never

import pytest

from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.doctor import program_checks
from alpaca_focus.doctor.checks import CheckOutcome
from alpaca_focus.doctor.computer_checks import (
    clock_state,
    computer_facts,
    history_problem,
    hottest_c,
    memory_bytes,
    storage_facts,
    table_date,
    undervoltage,
)
from alpaca_focus.doctor.probe_context import ProbeContext, run_in_thread
from alpaca_focus.doctor.program_checks import PortState, port_state, secrets_in
from alpaca_focus.doctor.settings_checks import others_may_read
from alpaca_focus.service.control_wire import lock_path
from alpaca_focus.settings.models import Settings
from alpaca_focus.store.run_store import FILE_NAME, RunStore
from tests.fakes import FakeClock


def settings(**sections: object) -> Settings:
    return Settings.model_validate({"telescope": {"focal_length_mm": 530, "aperture_mm": 106}, **sections})


def test_memory_is_read_in_bytes() -> None:
    text = "MemTotal:        3884344 kB\nMemAvailable:    2000000 kB\nHugePages_Total:       0\n"
    assert memory_bytes(text) == {"MemTotal": 3884344 * 1024, "MemAvailable": 2000000 * 1024}


def test_a_thermal_zone_without_a_reading_is_skipped(tmp_path: Path) -> None:
    assert hottest_c(tmp_path) is None
    for number, text in enumerate(("48312\n", "51000\n", "what\n")):
        zone = tmp_path / f"thermal_zone{number}"
        zone.mkdir()
        (zone / "temp").write_text(text)
    (tmp_path / "thermal_zone9").mkdir()
    assert hottest_c(tmp_path) == 51.0


@pytest.mark.parametrize(("alarm", "expected"), [("0\n", False), ("1\n", True), (None, None)])
def test_the_undervoltage_of_a_raspberry_pi(alarm: str | None, expected: bool | None, tmp_path: Path) -> None:
    other, pi = tmp_path / "hwmon0", tmp_path / "hwmon1"
    other.mkdir()
    (other / "name").write_text("cpu_thermal\n")
    (other / "in0_lcrit_alarm").write_text("1\n")
    assert undervoltage(tmp_path) is None
    pi.mkdir()
    (pi / "name").write_text("rpi_volt\n")
    if alarm is not None:
        (pi / "in0_lcrit_alarm").write_text(alarm)
    assert undervoltage(tmp_path) is expected


@pytest.mark.parametrize(
    ("version", "date"),
    [
        ("0.2026.11.2.0.34.55", datetime(2026, 11, 2, tzinfo=UTC)),
        ("0.2026.13.2.0.34.55", None),
        ("1.4", None),
        ("", None),
    ],
)
def test_the_date_of_the_tables_is_in_their_version(version: str, date: datetime | None) -> None:
    assert table_date(version) == date


def test_the_kernel_facts_need_no_privileges() -> None:
    synchronised, error_s = clock_state()
    assert synchronised in {True, False, None}
    assert error_s is None or (synchronised and error_s >= 0)
    facts = computer_facts()
    assert facts.now.tzinfo is not None
    assert facts.total_bytes is not None
    assert facts.available_bytes is not None
    assert 0 < facts.available_bytes <= facts.total_bytes
    assert facts.table_date is not None


def test_a_history_is_intact_or_damaged_or_absent(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    assert history_problem(path) is None
    with RunStore(tmp_path):
        # As while a daemon has it open.
        assert history_problem(path) == ""
    assert history_problem(path) == ""
    path.write_bytes(b"no database at all" * 100)
    assert "cannot be read" in (history_problem(path) or "")
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE runs (number INTEGER PRIMARY KEY, text TEXT)")
        connection.executemany("INSERT INTO runs (text) VALUES (?)", [("x" * 3000,)] * 20)
    connection.close()
    content = bytearray(path.read_bytes())
    content[8192:12288] = bytes(4096)
    path.write_bytes(content)
    assert "is damaged" in (history_problem(path) or "")


def test_a_missing_folder_is_not_created(tmp_path: Path) -> None:
    facts = storage_facts(tmp_path / "a" / "b")
    assert (facts.exists, facts.writable, facts.history) == (False, True, None)
    assert facts.free_bytes
    assert not (tmp_path / "a").exists()
    (tmp_path / "file").touch()
    assert not storage_facts(tmp_path / "file" / "b").writable


def test_ports_are_free_or_taken_or_of_another_computer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert port_state("127.0.0.1", port) is PortState.TAKEN
    assert port_state("127.0.0.1", port) is PortState.FREE
    assert port_state("192.0.2.7", port) is PortState.NO_ADDRESS


def test_secrets_are_named_and_their_readers_checked(tmp_path: Path) -> None:
    file = tmp_path / "night.yaml"
    file.touch(mode=0o600)
    wanted = settings(
        web={"token": "a long enough secret".replace(" ", "-")},
        mqtt={"password": "hush-hush"},
        messages={"services": ["ntfy://hush"]},
    )
    assert set(secrets_in(wanted)) == {"web.token", "mqtt.password", "messages.services"}
    assert not others_may_read(file)
    file.chmod(0o644)
    assert others_may_read(file)
    assert secrets_in(settings()) == ()


def test_a_hanging_thread_times_out() -> None:
    release = threading.Event()

    async def hang() -> None:
        with pytest.raises(TimeoutError):
            await run_in_thread(release.wait, 0.01)

    asyncio.run(hang())
    release.set()


def test_a_thread_returns_its_result_or_raises_its_error() -> None:
    async def both() -> None:
        assert await run_in_thread(lambda: 7, 5.0) == 7
        with pytest.raises(KeyError):
            await run_in_thread(lambda: {}["nothing"], 5.0)

    asyncio.run(both())


@pytest.mark.parametrize(("is_locked", "outcome"), [(True, CheckOutcome.NOTE), (False, CheckOutcome.OK)])
def test_the_holder_is_unknown_if_the_lock_cannot_be_opened(
    outcome: CheckOutcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_locked: bool
) -> None:
    def refused(_: Path) -> Never:
        raise ConfigurationError("The lock cannot be opened. Make its folder writable.")

    monkeypatch.setattr(program_checks, "exclusive_lock", refused)
    if is_locked:
        lock_path(tmp_path).touch()
    wanted = settings(storage={"directory": str(tmp_path)})
    context = ProbeContext(settings=wanted, clock=FakeClock(), frame_allowed=True, move_allowed=True)
    with ExitStack() as locks:
        asyncio.run(program_checks.probe_daemon(context, locks))
    (check,) = context.checks
    assert check.outcome is outcome
    assert not context.daemon_runs
    assert bool(context.read_only_reason) is is_locked
