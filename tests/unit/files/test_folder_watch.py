import pytest

from alpaca_focus.files.folder_watch import FolderWatch, Stamp, is_frame_name

NAME = "light.fits"


def stamp(size: int, at: int = 0) -> Stamp:
    return Stamp(size_bytes=size, changed_ns=at)


@pytest.fixture
def folder() -> FolderWatch:
    return FolderWatch(settle_s=1.0)


def test_a_file_is_ready_when_it_has_not_changed_for_a_moment(folder: FolderWatch) -> None:
    assert folder.poll({NAME: stamp(10)}, 0.0) == []
    assert folder.poll({NAME: stamp(10)}, 0.9) == []
    assert folder.poll({NAME: stamp(10)}, 1.0) == [NAME]


@pytest.mark.parametrize("grown", [stamp(20), stamp(10, at=1)], ids=["size", "time"])
def test_a_file_still_written_waits_from_its_last_change(folder: FolderWatch, grown: Stamp) -> None:
    folder.poll({NAME: stamp(10)}, 0.0)
    assert folder.poll({NAME: grown}, 0.9) == []
    assert folder.poll({NAME: grown}, 1.8) == []
    assert folder.poll({NAME: grown}, 1.9) == [NAME]


def test_a_file_that_was_read_does_not_come_again(folder: FolderWatch) -> None:
    folder.poll({NAME: stamp(10)}, 0.0)
    assert folder.poll({NAME: stamp(10)}, 1.0) == [NAME]
    assert folder.outcome(NAME, 1.1, complete=True)
    assert folder.poll({NAME: stamp(10)}, 100.0) == []


def test_the_same_name_written_again_is_a_new_file(folder: FolderWatch) -> None:
    folder.poll({NAME: stamp(10)}, 0.0)
    folder.poll({NAME: stamp(10)}, 1.0)
    folder.outcome(NAME, 1.0, complete=True)
    assert folder.poll({NAME: stamp(10, at=9)}, 9.0) == []
    assert folder.poll({NAME: stamp(10, at=9)}, 10.0) == [NAME]


def test_files_there_at_the_start_are_left_until_they_change(folder: FolderWatch) -> None:
    folder.ignore({NAME: stamp(10), "half.fits": stamp(5)}, 0.0)
    now = {NAME: stamp(10), "half.fits": stamp(7, at=1)}
    assert folder.poll(now, 5.0) == []
    assert folder.poll(now, 6.0) == ["half.fits"]


def test_an_unreadable_file_is_tried_again_and_given_up_once(folder: FolderWatch) -> None:
    folder.poll({NAME: stamp(10)}, 0.0)
    told = []
    for tick in range(2, 200):
        now = tick / 2
        told += [(now, folder.outcome(name, now, complete=False)) for name in folder.poll({NAME: stamp(10)}, now)]
    assert told == [(1.0, False), (2.0, False), (3.0, False), (4.0, False), (5.0, True)]
    assert folder.poll({NAME: stamp(20)}, 200.0) == []
    assert folder.poll({NAME: stamp(20)}, 201.0) == [NAME]


def test_a_pause_longer_than_the_moment_does_no_harm(folder: FolderWatch) -> None:
    folder.poll({NAME: stamp(10)}, 0.0)
    assert folder.poll({NAME: stamp(10)}, 2.0) == [NAME]
    assert not folder.outcome(NAME, 2.0, complete=False)
    assert folder.poll({NAME: stamp(20)}, 2.5) == []
    assert folder.poll({NAME: stamp(20)}, 3.5) == [NAME]
    assert folder.outcome(NAME, 3.5, complete=True)


def test_a_rename_into_place_is_a_new_file(folder: FolderWatch) -> None:
    folder.poll({"a.fits": stamp(10)}, 0.0)
    folder.poll({"a.fits": stamp(10)}, 1.0)
    folder.outcome("a.fits", 1.0, complete=True)
    folder.poll({"b.fits": stamp(10)}, 2.0)
    assert folder.poll({"b.fits": stamp(10)}, 3.0) == ["b.fits"]


def test_a_file_deleted_while_it_was_written_is_forgotten(folder: FolderWatch) -> None:
    folder.poll({NAME: stamp(10)}, 0.0)
    assert folder.poll({}, 0.5) == []
    assert folder.poll({NAME: stamp(10)}, 1.2) == []
    assert folder.poll({NAME: stamp(10)}, 2.2) == [NAME]


def test_a_share_that_returns_does_not_bring_its_old_files_again(folder: FolderWatch) -> None:
    folder.poll({NAME: stamp(10)}, 0.0)
    folder.poll({NAME: stamp(10)}, 1.0)
    folder.outcome(NAME, 1.0, complete=True)
    folder.poll({}, 2.0)
    back = {NAME: stamp(10), "new.fits": stamp(10, at=5)}
    folder.poll(back, 3.0)
    assert folder.poll(back, 4.0) == ["new.fits"]


def test_the_oldest_comes_first(folder: FolderWatch) -> None:
    snapshot = {"a.fits": stamp(1, at=30), "b.fits": stamp(1, at=10), "c.fits": stamp(1, at=10)}
    folder.poll(snapshot, 0.0)
    assert folder.poll(snapshot, 1.0) == ["b.fits", "c.fits", "a.fits"]


@pytest.mark.parametrize("name", ["a.fits", "A.FIT", "a.fts", "a.fits.gz", "a.fits.fz", "a b.fits"])
def test_names_of_frames(name: str) -> None:
    assert is_frame_name(name)


@pytest.mark.parametrize(
    "name", [".a.fits", "a.fits.tmp", "a.fits.part", "a.fits~", "~a.fits", "a.tmp", "a.png", "fits", "a.csv.gz"]
)
def test_names_that_are_left_alone(name: str) -> None:
    assert not is_frame_name(name)
