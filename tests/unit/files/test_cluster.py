"""What a Dask cluster can do to somebody who measures on it, with a cluster that is acted."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from distributed import CancelledError

from alpaca_focus import __version__
from alpaca_focus.cli.measure import _measured
from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.files import cluster
from alpaca_focus.files.cluster import Cluster, measure_sent, measure_shared
from alpaca_focus.files.file_report import FileReport
from alpaca_focus.files.folder_watch import Stamp
from alpaca_focus.files.measuring import DEFAULT

ADDRESS = "tcp://first:8786"
HERE = {"packages": {"alpaca_focus": __version__}}


class Future:
    def __init__(self, outcome: Callable[[], FileReport | None]) -> None:
        self._outcome = outcome

    def result(self, timeout: float) -> FileReport | None:
        del timeout
        return self._outcome()


class ActedClient:
    """The client of a cluster that does what a test says."""

    status = "running"
    workers: Mapping[str, Any] = {"tcp://second:1": HERE}
    scheduler: Mapping[str, Any] = HERE
    outcome: Callable[[], FileReport | None]
    threads = 1

    def __init__(self, address: str, **_: object) -> None:
        assert address == ADDRESS
        self.begun = self.cancelled = 0
        self.is_closed = False

    def get_versions(self, packages: list[str]) -> Mapping[str, Any]:
        assert packages == ["alpaca_focus"]
        return {"scheduler": self.scheduler, "workers": self.workers}

    def nthreads(self) -> Mapping[str, int]:
        return {"tcp://second:1": self.threads} if self.threads else {}

    def submit(self, *_: object, pure: bool) -> Future:
        assert not pure
        self.begun += 1
        return Future(type(self).outcome)

    def cancel(self, futures: list[Future]) -> None:
        self.cancelled += len(futures)

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def acted(monkeypatch: pytest.MonkeyPatch) -> type[ActedClient]:
    async def greeted(_address: str) -> None:
        pass

    class Acted(ActedClient):
        pass

    monkeypatch.setattr(cluster, "_greeted", greeted)
    monkeypatch.setattr(cluster, "Client", Acted)
    return Acted


@pytest.mark.parametrize(
    ("scheduler", "workers", "words"),
    [
        (HERE, {}, f"The Dask cluster at {ADDRESS} has no workers. Start some with `dask worker {ADDRESS}`."),
        (
            HERE,
            {"tcp://a:1": HERE, "tcp://b:2": {"packages": {"alpaca_focus": "0.1"}}},
            "tcp://b:2 has alpaca-focus 0.1",
        ),
        (HERE, {"tcp://a:1": {"packages": {"alpaca_focus": None}}}, "tcp://a:1 has no alpaca-focus"),
        (HERE, {"tcp://a:1": None}, "tcp://a:1 has no alpaca-focus"),
        ({"packages": {}}, {"tcp://a:1": HERE}, f"The Dask scheduler {ADDRESS} has no alpaca-focus"),
    ],
)
def test_a_cluster_that_cannot_do_it_is_refused_and_left(
    acted: type[ActedClient], scheduler: Mapping[str, Any], workers: Mapping[str, Any], words: str
) -> None:
    acted.scheduler, acted.workers = scheduler, workers
    connection = Cluster(ADDRESS)
    with pytest.raises(ConfigurationError) as caught, connection:
        pass
    assert words in str(caught.value)
    assert connection._client.is_closed


def frames(folder: Path, count: int) -> list[Path]:
    paths = [folder / f"{number}.fits" for number in range(count)]
    for path in paths:
        path.write_bytes(b"")
    return paths


def test_so_many_files_are_under_way_and_no_more(acted: type[ActedClient], tmp_path: Path) -> None:
    report = FileReport(path=Path("a.fits"), metric=DEFAULT.metric)
    acted.outcome, acted.threads = staticmethod(lambda: report), 3
    with Cluster(ADDRESS) as connection:
        client = connection._client
        reports = connection.measure_files(frames(tmp_path, 20), DEFAULT, print)
        begun = []
        for _ in range(4):
            next(reports)
            begun.append(client.begun)
        reports.close()
    assert begun == [1, 7, 8, 9]
    assert client.cancelled == 5
    assert client.is_closed


def test_a_scheduler_that_goes_in_the_middle_is_told_with_the_first_file_that_is_left(
    acted: type[ActedClient], tmp_path: Path
) -> None:
    def gone() -> FileReport:
        raise CancelledError

    acted.outcome = staticmethod(gone)
    paths = frames(tmp_path, 3)
    with Cluster(ADDRESS) as connection, pytest.raises(ConfigurationError) as caught:
        list(connection.measure_files(paths, DEFAULT, print))
    assert f"The Dask scheduler {ADDRESS} has stopped" in str(caught.value)
    assert f"The files from {paths[0]} on were not measured" in str(caught.value)


def test_workers_that_are_away_for_long_are_no_longer_waited_for(acted: type[ActedClient], tmp_path: Path) -> None:
    looks = 0

    def never() -> FileReport:
        nonlocal looks
        looks += 1
        # They come back once, and the patience begins anew.
        acted.threads = 1 if looks == 5 else 0
        raise TimeoutError

    acted.outcome = staticmethod(never)
    with Cluster(ADDRESS) as connection, pytest.raises(ConfigurationError, match="All workers of the Dask cluster"):
        list(connection.measure_files(frames(tmp_path, 1), DEFAULT, print))
    assert looks == 5 + cluster.WORKERLESS_CHECKS + 1


def test_a_worker_that_joins_later_with_another_version_does_not_measure(tmp_path: Path) -> None:
    path = str(tmp_path / "a.fits")
    with pytest.raises(ConfigurationError, match=r"has alpaca-focus .*, this computer 0\.1"):
        measure_shared(path, path, Stamp(0, 0), DEFAULT, "0.1")
    with pytest.raises(ConfigurationError, match="Install the same version there"):
        measure_sent(path, b"", DEFAULT, "0.1")


@pytest.mark.parametrize("stamp", [Stamp(1, 0), Stamp(0, 0)])
def test_another_file_of_the_same_name_is_not_the_one_that_is_meant(tmp_path: Path, stamp: Stamp) -> None:
    path = tmp_path / "a.fits"
    path.write_bytes(b"")
    assert measure_shared("a.fits", str(path), stamp, DEFAULT, __version__) is None


def test_without_the_library_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "alpaca_focus.files.cluster")
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigurationError) as caught, _measured([], DEFAULT, ADDRESS):
        pass
    assert str(caught.value) == (
        '--dask needs the Python package distributed, which is missing. Run pip install "alpaca-focus[dask]".'
    )
