"""What a kill has left at the camera: the run's settings or another program's, an exposure that has begun or not."""

from datetime import UTC, datetime

import pytest

from alpaca_focus.core.camera_record import CameraRecord, PendingExposure, has_begun

pytestmark = pytest.mark.unit

AT = datetime(2026, 1, 1, tzinfo=UTC)
BEFORE = {"BinX": 1, "BinY": 1, "Gain": 100, "Offset": 10}
USED = {"BinX": 2, "BinY": 2, "Gain": 120}


@pytest.mark.parametrize(
    ("found", "is_others"),
    [
        (BEFORE, False),
        (BEFORE | USED, False),
        (BEFORE | {"BinX": 2}, False),  # killed between two writes
        (BEFORE | {"Gain": 121}, False),  # reads back 1 off
        (BEFORE | {"Offset": 55}, False),  # the run leaves it alone
        (BEFORE | {"Gain": 90}, True),
        (BEFORE | {"BinX": 3, "BinY": 3}, True),
        ({}, False),
    ],
)
def test_settings_that_are_neither_the_runs_nor_the_former_are_anothers(found: dict[str, int], is_others: bool) -> None:
    record = CameraRecord(settings=BEFORE, used=USED, is_changed=True)
    assert record.is_set_by_others(found) == is_others


@pytest.mark.parametrize(
    ("state", "is_ready", "last_start", "begun"),
    [
        (2, False, "run", True),
        (3, True, "run", True),
        (0, True, "run", False),
        (0, True, "own", True),
        (4, True, "own", True),
        (4, False, "own", False),
        (0, True, "", False),
        (5, False, "own", False),
    ],
)
def test_an_exposure_has_begun_if_the_camera_exposes_or_has_another_frame(
    state: int, is_ready: bool, last_start: str, begun: bool
) -> None:
    pending = PendingExposure(exposure_s=60, light=True, at=AT, sent_at=AT, last_start="run")
    assert has_begun(pending, state=state, is_ready=is_ready, last_start=last_start) == begun


def test_a_record_is_empty_without_settings_and_exposure() -> None:
    assert CameraRecord().is_empty
    assert not CameraRecord(settings={}).is_empty
    assert not CameraRecord(exposure=PendingExposure(exposure_s=1, light=True, at=AT)).is_empty
