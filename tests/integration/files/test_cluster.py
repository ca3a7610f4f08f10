"""Files measured on a Dask cluster: a scheduler and two workers in processes of their own, on loopback."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.files import cluster
from alpaca_focus.files.cluster import Cluster
from alpaca_focus.files.file_report import FileReport
from alpaca_focus.files.measuring import DEFAULT, measure_file, measure_files
from tests.synthetic import drawn_field

PATIENCE_S = 30.0
PRELOADED = """
import os, time
from alpaca_focus.files import cluster

if not hasattr(cluster, "real"):
    # This is loaded more than once.
    cluster.real = cluster.file_stamp, cluster.measure_content

def stamp(path):
    # As if this folder were not on the file system that all share.
    return None if "elsewhere" in path.parts else cluster.real[0](path)

def measure(path, file, options):
    if "killer" in path.name:
        os._exit(9)
    if "slow" in path.name:
        time.sleep(60)
    return cluster.real[1](path, file, options)

cluster.file_stamp, cluster.measure_content = stamp, measure
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder, port = tmp_path_factory.mktemp("cluster"), free_port()
    (folder / "preloaded.py").write_text(PRELOADED)
    environment = {**os.environ, "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}
    scheduler, workers = "distributed.cli.dask_scheduler", "distributed.cli.dask_worker"
    common = ["--host", "127.0.0.1", "--no-dashboard"]
    address = f"tcp://127.0.0.1:{port}"
    commands = [
        [scheduler, *common, "--port", str(port)],
        [workers, *common, address, "--nworkers", "2", "--nthreads", "1", "--preload", str(folder / "preloaded.py")],
    ]
    with (folder / "log").open("wb") as log:
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", *each],
                env=environment,
                cwd=folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            for each in commands
        ]
    try:
        wait_for_workers(address, 2, folder / "log")
        yield address
    finally:
        # Each with its children, which would take their time.
        for process in reversed(processes):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(PATIENCE_S)


def wait_for_workers(address: str, count: int, log: Path) -> None:
    ends_at = time.monotonic() + PATIENCE_S
    while True:
        try:
            with Cluster(address) as connected:
                if len(connected._client.nthreads()) >= count:
                    return
        except ConfigurationError:
            pass
        assert time.monotonic() < ends_at, log.read_text()
        time.sleep(0.1)


def field(path: Path, rng: np.random.Generator) -> Path:
    path.parent.mkdir(exist_ok=True)
    unit = fits.PrimaryHDU(drawn_field(rng, blur_px=4.0, stars=4, size_px=120).pixels)
    unit.writeto(path)
    return path


def archive(folder: Path, rng: np.random.Generator) -> list[Path]:
    """Frames, and what archives have between them."""
    paths = [field(folder / f"frame_{number}.fits.gz", rng) for number in range(5)]
    broken = folder / "broken_1234.fits"
    broken.write_bytes(paths[0].read_bytes()[:500])
    return [*paths[:2], broken, *paths[2:], folder / "missing.fits", folder]


def measured(address: str, paths: list[Path]) -> tuple[list[FileReport], list[str]]:
    told: list[str] = []
    with Cluster(address) as connected, closing(connected.measure_files(paths, DEFAULT, told.append)) as reports:
        return list(reports), told


def as_text(reports: list[FileReport]) -> list[str]:
    return [f"{each.line()}\n{each.as_dict()}" for each in reports]


@pytest.mark.parametrize(("folder", "sends"), [("archive", False), ("elsewhere", True)])
def test_the_reports_are_those_of_one_computer_in_the_order_of_the_files(
    address: str, tmp_path: Path, rng: np.random.Generator, folder: str, sends: bool
) -> None:
    paths = archive(tmp_path / folder, rng)
    alone = list(measure_files(paths, workers=1))
    reports, told = measured(address, paths)
    assert as_text(reports) == as_text(alone)
    assert sum(each.usable for each in reports) == 5
    assert len(told) == int(sends)


def test_a_relative_path_is_found_by_workers_that_stand_elsewhere(
    address: str, tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = field(tmp_path / "one.fits", rng)
    monkeypatch.chdir(tmp_path)
    reports, told = measured(address, [Path(path.name)])
    assert as_text(reports) == as_text([measure_file(Path(path.name))])
    assert told == []


def test_files_that_are_sent_wait_for_room(
    address: str, tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "MOST_SENT_BYTES", 1)
    paths = archive(tmp_path / "elsewhere", rng)
    assert as_text(measured(address, paths)[0]) == as_text(list(measure_files(paths, workers=1)))


def test_who_stops_early_leaves_no_work_behind(address: str, tmp_path: Path, rng: np.random.Generator) -> None:
    names = ["first.fits", *(f"slow_{number}.fits" for number in range(4))]
    paths = [field(tmp_path / name, rng) for name in names]
    with Cluster(address) as connected:
        reports = connected.measure_files(paths, DEFAULT, print)
        assert next(reports).path == paths[0]
        reports.close()
        ends_at = time.monotonic() + PATIENCE_S
        while count := connected._client.run_on_scheduler(tasks_of):
            assert time.monotonic() < ends_at, count
            time.sleep(0.02)


def tasks_of(dask_scheduler: Any) -> int:
    return len(dask_scheduler.tasks)


def test_a_worker_that_dies_over_a_file_loses_that_file_alone(
    address: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    paths = [field(tmp_path / name, rng) for name in ("a.fits", "killer.fits", "b.fits")]
    reports, _ = measured(address, paths)
    assert [each.readable for each in reports] == [True, False, True]
    assert f"The process that measured {paths[1]} was killed" in reports[1].line()


def test_workers_of_another_version_are_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "__version__", "0.0.1")
    with pytest.raises(ConfigurationError, match=r"Dask scheduler tcp://.* has alpaca-focus .*, this computer 0.0.1"):
        Cluster(address).__enter__()


@pytest.mark.parametrize("wrong", ["tcp://127.0.0.1:{port}", "nonsense", "carrier-pigeon://127.0.0.1:{port}"])
def test_an_address_without_a_scheduler_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setattr(cluster, "CONNECTED_WITHIN_S", 0.3)
    with pytest.raises(ConfigurationError) as caught:
        Cluster(wrong.format(port=free_port())).__enter__()
    assert str(caught.value).startswith("There is no Dask scheduler at ")
    assert "\n" not in str(caught.value)
