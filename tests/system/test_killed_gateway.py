"""A gateway that is killed at random moments never shows a frame of a run: `make soak` kills it 200 times."""

import os
import tempfile
import time
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from alpaca_focus.simulator.observatory import observatory_process
from tests.bench.gateway_kills import GatewayProgram, KilledGateway, observatory, settings
from tests.ports import free_port

KILLS = int(os.environ.get("ALPACA_FOCUS_GATEWAY_KILLS", "4"))
LAST_S = 60.0


def test_no_frame_of_a_run_is_delivered_and_nothing_is_left_on_the_camera(
    seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with tempfile.TemporaryDirectory() as folder, observatory_process(observatory(seed)) as address:
        directory, config, port = Path(folder) / "state", Path(folder) / "night.yaml", free_port()
        with config.open("w") as file:
            YAML().dump(settings(address, directory, port), file)
        program = GatewayProgram(f"127.0.0.1:{port}", address, directory)
        night = KilledGateway(config, address, directory, seed)
        with program.working():
            for number in range(1, KILLS + 1):
                night.live_and_kill()
                assert program.problems == []
                if number % 20 == 0:
                    with capsys.disabled():
                        print(f"{number} kills during {dict(night.during)}: {dict(program.ends)}")
            with night.alive():
                delivered, ends_at = program.ends["delivered"], time.monotonic() + LAST_S
                while program.ends["delivered"] < delivered + 2 and time.monotonic() < ends_at:
                    time.sleep(0.05)
        print(night.during, program.ends)
        assert program.problems == []
        assert program.ends["delivered"] >= delivered + 2
        assert program.ends["neither ended nor failed"] == 0
