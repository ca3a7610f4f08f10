"""A temperature in a file: read when it is there, young and makes sense."""

import asyncio
import logging
import os
import time
from pathlib import Path

import pytest

from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.devices.text_thermometers import FileThermometer


def read(thermometer: FileThermometer) -> float | None:
    return asyncio.run(thermometer.temperature_c())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "temperature.txt"


@pytest.mark.parametrize(
    ("content", "temperature_c"),
    [
        (b"-3,4 \xc2\xb0C\n", -3.4),
        (b"-3.4\xb0C", -3.4),
        (b"\xef\xbb\xbf7.5", 7.5),
        (b'{"temperature_c": 4}', 4.0),
        (b"", None),
        (b"NaN", None),
        (b"\x00\xff\xfe", None),
        (b"5 " + b" " * 65536, None),
    ],
)
def test_the_file_is_read(file: Path, content: bytes, temperature_c: float | None) -> None:
    file.write_bytes(content)
    assert read(FileThermometer(file)) == temperature_c


@pytest.mark.parametrize(("age_s", "temperature_c"), [(540.0, 5.0), (660.0, None), (-300.0, 5.0), (-660.0, None)])
def test_an_old_reading_is_none(file: Path, age_s: float, temperature_c: float | None) -> None:
    file.write_text("5.0", "utf-8")
    written_s = time.time() - age_s
    os.utime(file, (written_s, written_s))
    assert read(FileThermometer(file)) == temperature_c


def test_a_pipe_is_no_file_and_keeps_nobody_waiting(file: Path) -> None:
    os.mkfifo(file)
    assert read(FileThermometer(file)) is None


def test_a_file_may_come_later_but_a_folder_is_a_mistake(file: Path) -> None:
    thermometer = FileThermometer(file)
    asyncio.run(thermometer.connect())
    assert read(thermometer) is None
    file.write_text("5", "utf-8")
    assert read(thermometer) == 5.0
    asyncio.run(thermometer.close())
    with pytest.raises(ConfigurationError, match=r"is a folder\. Name the file"):
        asyncio.run(FileThermometer(file.parent).connect())


def test_only_the_change_is_logged(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    thermometer = FileThermometer(file)
    for content in (None, "n/a", "5", "6", "n/a", None):
        file.unlink(missing_ok=True)
        if content is not None:
            file.write_text(content, "utf-8")
        read(thermometer)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO", "WARNING"]
    first, again, second = caplog.messages
    assert str(file) in first
    assert "it cannot be read (No such file or directory)" in first
    assert "gives a temperature again: 5.0 C" in again
    assert "does not begin with a plausible number" in second
