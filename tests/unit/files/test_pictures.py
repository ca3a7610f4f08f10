import math
from dataclasses import replace
from pathlib import Path

import pytest

from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.files.best_focus import FittedCurve, fitted_curve
from alpaca_focus.files.curve_tables import Point, make_curve
from alpaca_focus.files.pictures import check_picture_path, write_picture

STARTS = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}


def fitted(*, points: int = 9) -> FittedCurve:
    places = [9300 + 30 * number for number in range(points)]
    values = [Point(position=x, value=math.hypot(4, 0.05 * (x - 9430)), stderr=0.1) for x in places]
    return fitted_curve(make_curve("fwhm", "px", [*values, Point(position=9000, value=math.nan, reason="no trace")]))


@pytest.mark.parametrize("suffix", STARTS)
def test_a_picture_is_written_for_all_to_read_and_nothing_else(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"curve{suffix}"
    write_picture(path, [fitted(), fitted()], title="two curves", compromise_at=9440)
    assert path.read_bytes().startswith(STARTS[suffix])
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("points", [1, 3])
def test_points_without_a_fit_are_drawn(tmp_path: Path, points: int) -> None:
    each = fitted(points=points)
    assert each.fit is None
    write_picture(tmp_path / "curve.png", [each])
    assert (tmp_path / "curve.png").stat().st_size > 5000


def test_a_curve_that_left_out_a_point_looks_different(tmp_path: Path) -> None:
    each = fitted()
    assert each.fit is not None
    write_picture(tmp_path / "all.png", [each])
    write_picture(tmp_path / "without.png", [replace(each, fit=replace(each.fit, rejected=(2,)))])
    assert (tmp_path / "all.png").read_bytes() != (tmp_path / "without.png").read_bytes()


def test_what_cannot_be_written_is_told_and_leaves_the_old_picture(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"gone/curve\.png cannot be written"):
        write_picture(tmp_path / "gone" / "curve.png", [fitted()])
    (tmp_path / "curve.png").mkdir()
    with pytest.raises(ConfigurationError, match=r"curve\.png cannot be written"):
        write_picture(tmp_path / "curve.png", [fitted()])
    assert list(tmp_path.iterdir()) == [tmp_path / "curve.png"]


@pytest.mark.parametrize(
    ("name", "words"),
    [("curve.doc", "not the name of a picture"), ("curve", "not the name of a picture"), ("no/a.png", "no folder")],
)
def test_a_place_where_no_picture_can_be_is_told_beforehand(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        check_picture_path(tmp_path / name)
    check_picture_path(tmp_path / "good.PNG")
