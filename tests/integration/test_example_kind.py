"""One more kind of device, as an example: the files that it needs, and that no other file changes.

It would change eight files: `alpaca/standard.py` (type and members), `core/device_kinds.py` (its row), `ports.py` (its
protocol), a module of `devices` (its adapter), `run/device_adapters.py` (the adapter's row), `settings/models.py` (its
section), a module of `doctor` (probe and rules) and `doctor/diagnostics.py` (the probe's row).
"""

import asyncio
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, cast

import pytest
import requests
import typer
from pydantic import Field
from typer.testing import CliRunner
from typing_extensions import override

from alpaca_focus.alpaca import standard
from alpaca_focus.alpaca.running import RunningServer
from alpaca_focus.alpaca.served import ServedDevice
from alpaca_focus.alpaca.standard import DeviceType, HttpMethod, Member
from alpaca_focus.cli.init_command import init
from alpaca_focus.core import device_kinds
from alpaca_focus.core.device_kinds import DeviceKind, DiscoveredFacts
from alpaca_focus.daemon.gateway_link import DaemonGateway
from alpaca_focus.devices.clock import SystemClock
from alpaca_focus.devices.connection import AlpacaDevice, Connection
from alpaca_focus.devices.translate import as_float
from alpaca_focus.doctor import diagnostics
from alpaca_focus.doctor.checks import Check, CheckOutcome, Subject
from alpaca_focus.doctor.diagnostics import DiagnosticOptions, run_diagnostics
from alpaca_focus.doctor.probe_context import ProbeContext
from alpaca_focus.ports import Device
from alpaca_focus.run import device_adapters
from alpaca_focus.run.device_adapters import connected_devices, plain_adapter
from alpaca_focus.settings import models
from alpaca_focus.settings.describe import describe
from alpaca_focus.settings.loader import load_yaml
from alpaca_focus.settings.models import DeviceSection, Settings
from tests.ports import free_port
from tests.served_devices import Faults, ServedCamera, ServedFocuser, serve

# alpaca/standard.py

ROTATOR = str.__new__(DeviceType, "rotator")
ROTATOR._name_, ROTATOR._value_ = "ROTATOR", "rotator"


# core/device_kinds.py


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRotator(DiscoveredFacts):
    MEMBERS = MappingProxyType({"Position": float})

    position_deg: float | None = None

    @classmethod
    @override
    def _plausible(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"position_deg": values.get("Position")}

    @property
    @override
    def words(self) -> tuple[str, ...]:
        return ("" if self.position_deg is None else f"at {self.position_deg:g} degrees",)


ROW = DeviceKind(
    alpaca_type="rotator",
    section="rotator",
    name="rotator",
    facts=FoundRotator,
    comment="It turns the camera.",
    has_virtual_device=True,
)


# ports.py


class Rotator(Device, Protocol):
    async def position_deg(self) -> float: ...


# devices


class AlpacaRotator(AlpacaDevice):
    device_type = ROTATOR

    async def position_deg(self) -> float:
        return await self._connection.get("Position", as_float)


# settings/models.py


class RotatorSection(DeviceSection):
    """A rotator."""


class SettingsWithRotator(Settings):
    rotator: RotatorSection | None = Field(default=None, description="A rotator, if there is one")


# doctor


async def probe_rotator(context: ProbeContext) -> None:
    async def read(_: Connection) -> None:
        async with context.connected("rotator", AlpacaRotator) as rotator:
            context.checks.append(check_rotator(await rotator.position_deg()))

    await context.probe_device("rotator", read)


def check_rotator(position_deg: float) -> Check:
    return Subject("rotator").ok("position", f"{position_deg:g} degrees")


class ServedRotator(ServedDevice):
    """The device itself, behind the small Alpaca server."""

    device_type = ROTATOR

    def get_position(self) -> float:
        return 12.5


@pytest.fixture
def _one_more_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the eight files would contain."""
    monkeypatch.setitem(DeviceType._member_map_, "ROTATOR", ROTATOR)
    monkeypatch.setitem(DeviceType._value2member_map_, "rotator", ROTATOR)
    monkeypatch.setattr(DeviceType, "_member_names_", [*DeviceType._member_names_, "ROTATOR"])
    interface = standard._interface("Rotator", 3, [Member("position", HttpMethod.GET)])
    monkeypatch.setitem(standard._INTERFACES, ROTATOR, interface)
    monkeypatch.setitem(device_kinds._KINDS, "rotator", ROW)
    monkeypatch.setitem(device_adapters._ADAPTERS, "rotator", plain_adapter("rotator", AlpacaRotator))
    monkeypatch.setitem(diagnostics._PROBES, "rotator", probe_rotator)
    for module in [each for name, each in sys.modules.items() if name.startswith("alpaca_focus.")]:
        if getattr(module, "Settings", None) is Settings and module is not models:
            monkeypatch.setattr(module, "Settings", SettingsWithRotator)


@pytest.fixture
def server(_one_more_kind: None) -> Iterator[RunningServer]:
    devices = [ServedCamera(), ServedFocuser(), ServedRotator(name="Falcon", unique_id="rotator-one")]
    with serve(devices, Faults()) as running:
        yield running


def settings_at(server: RunningServer, **sections: Any) -> SettingsWithRotator:
    return SettingsWithRotator.model_validate(
        {
            "telescope": {"focal_length_mm": 530, "aperture_mm": 106},
            "alpaca": {"address": server.address},
            "rotator": {"device_number": 0},
        }
        | sections
    )


def test_it_is_connected_and_described(server: RunningServer) -> None:
    settings = settings_at(server)

    async def read() -> float:
        async with connected_devices(settings, SystemClock()) as devices:
            return await cast("Rotator", devices.connected["rotator"]).position_deg()

    assert asyncio.run(read()) == 12.5
    assert f"rotator: number 0 at {server.address}" in describe(settings)


def test_it_is_surveyed_and_offered_by_init(server: RunningServer, tmp_path: Path) -> None:
    commands, file = typer.Typer(), tmp_path / "night.yaml"
    commands.command()(init)
    options = ["--focal-length", "480", "--aperture", "80", "--step-size", "1.2"]
    result = CliRunner().invoke(commands, [str(file), "--address", server.address, *options])
    assert result.exit_code == 0, result.output
    assert '  rotator 0 "Falcon": at 12.5 degrees\n' in result.output
    assert f'rotator:\n  # Rotator 0 at {server.address}, "Falcon". It turns the camera.\n' in file.read_text()
    assert load_yaml(file, SettingsWithRotator).rotator == RotatorSection(device_number=0)


def test_the_doctor_probes_it(server: RunningServer, tmp_path: Path) -> None:
    file, checks = tmp_path / "night.yaml", list[Check]()

    file.write_text(settings_at(server, web=None).model_dump_json(exclude_unset=True))
    options = DiagnosticOptions(
        file=file,
        frame_allowed=False,
        move_allowed=False,
        on_checks=checks.extend,
        on_subject=lambda _: None,
        on_stranded=lambda: None,
    )
    asyncio.run(run_diagnostics(options))
    connection, position = [check for check in checks if check.subject == "rotator"]
    assert (connection.name, connection.outcome) == ("connection", CheckOutcome.OK)
    assert position == Check("rotator", "position", CheckOutcome.OK, "12.5 degrees")


def test_the_gateway_stands_in_front_of_it(server: RunningServer) -> None:
    settings = settings_at(
        server, imaging={"way": "gateway"}, gateway={"port": free_port(), "discovery": False}, web=None
    )

    async def nothing(_: object) -> Mapping[str, object]:
        return {}

    async def ask() -> tuple[Any, Any]:
        with DaemonGateway(nothing, SystemClock()) as program:
            program.follow(settings)
            assert program.gateway is not None
            base = f"http://{program.gateway.address}"
            listed = await asyncio.to_thread(requests.get, f"{base}/management/v1/configureddevices", timeout=5)
            position = await asyncio.to_thread(requests.get, f"{base}/api/v1/rotator/0/position", timeout=5)
            return listed.json()["Value"], position.json()["Value"]

    listed, position = asyncio.run(ask())
    assert [each["DeviceName"] for each in listed if each["DeviceType"] == "Rotator"] == ["Falcon through alpaca-focus"]
    assert position == 12.5
