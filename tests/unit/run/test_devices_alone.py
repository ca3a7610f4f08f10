"""Whoever uses the devices of a storage.directory has them alone."""

import asyncio
from pathlib import Path

import pytest

from alpaca_focus.core.errors import AlpacaFocusError, AlreadyRunning, DeviceUnreachable
from alpaca_focus.devices.clock import SystemClock
from alpaca_focus.run.device_adapters import devices_alone
from alpaca_focus.service.control_wire import exclusive_lock, lock_path
from alpaca_focus.settings.models import Settings
from tests.ports import free_port


@pytest.fixture
def nobody() -> str:
    """An address at which nothing answers."""
    return f"127.0.0.1:{free_port()}"


def entered(address: str, directory: Path) -> AlpacaFocusError:
    settings = Settings.model_validate(
        {
            "telescope": {"focal_length_mm": 530.0, "aperture_mm": 106.0},
            "alpaca": {"address": address},
            "storage": {"directory": str(directory)},
        }
    )

    async def enter() -> None:
        async with devices_alone(settings, SystemClock()):
            pass

    with pytest.raises(AlpacaFocusError) as caught:
        asyncio.run(enter())
    return caught.value


def test_no_device_is_contacted_while_a_daemon_uses_them(nobody: str, tmp_path: Path) -> None:
    with exclusive_lock(lock_path(tmp_path)):
        error = entered(nobody, tmp_path)
    assert isinstance(error, AlreadyRunning)
    assert "alpaca-focus refocus" in str(error)
    assert isinstance(entered(nobody, tmp_path), DeviceUnreachable)


def test_a_folder_that_cannot_be_written_stops_nobody(nobody: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert isinstance(entered(nobody, tmp_path / "file" / "state"), DeviceUnreachable)
