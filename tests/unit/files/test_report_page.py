"""The page of a night: whole, alone, and true to what was kept."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from typing_extensions import override

from alpaca_focus.core.curves.calibration import Estimate
from alpaca_focus.core.night.night_review import ReviewedNight, night_of
from alpaca_focus.core.values import Outcome, SavedNotice, SavedRun
from alpaca_focus.files.chart import UPPER_END, Chart, Points, Range, range_of, v_curve
from alpaca_focus.files.chart_drawing import chart_svg, chart_text
from alpaca_focus.files.report_page import report_page
from tests.kept_nights import BEGINS, KeptNight, result, sample

MADE_AT = datetime(2026, 1, 15, 7, 0, tzinfo=UTC)
VOID = {"meta"}


class Reader(HTMLParser):
    """Sees that every element is closed in order, and gathers what there is."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.text = ""

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        assert not any(name in {"src", "href", "onload", "onclick"} for name, _ in attrs)
        if tag not in VOID:
            self.open.append(tag)

    @override
    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)

    @override
    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    @override
    def handle_data(self, data: str) -> None:
        self.text += data


def night(rng: np.random.Generator) -> ReviewedNight:
    kept = KeptNight(rng)
    runs = kept.runs(90)
    failed = result(
        BEGINS + timedelta(minutes=100),
        Outcome.RESTORED,
        start=25400,
        final=25400,
        reason="No <stars> & clouds.",
        samples=(sample(25400, float("nan"), "point", reason="no stars found"), sample(25500, 4.0, "point")),
    )
    return ReviewedNight(
        telescope="<b>Dob</b>",
        date=night_of(BEGINS, timedelta(0)),
        runs=tuple(
            SavedRun(number=index, trigger="time", result=each) for index, each in enumerate([failed, *runs], start=1)
        ),
        lights=tuple(kept.lights(runs)),
        zone_steps=67.0,
        learned=Estimate(value=-14.0, stderr=0.5, count=30),
    )


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def test_the_page_is_whole_and_loads_nothing(rng: np.random.Generator) -> None:
    page = report_page(night(rng), made_at=MADE_AT, version="1.2.3")
    reader = read(page)
    assert not {"script", "link", "img", "iframe", "object"} & set(reader.seen)
    assert "url(" not in page
    assert "<b>Dob" not in page
    assert "<b>Dob</b>: the night of 14 January 2026" in reader.text
    assert "Run 1 at 20:40: No <stars> & clouds." in reader.text
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page
    assert len(page) < 200_000


def test_what_went_wrong_stands_first(rng: np.random.Generator) -> None:
    whole = replace(night(rng), learned=None, zone_steps=None)
    lost = SavedNotice(at=MADE_AT, kind="device_lost", title="Focus is not kept", text="Camera 0 does not answer.")
    text = read(report_page(replace(whole, notices=(lost,)), made_at=MADE_AT, version="1")).text
    failed, silent = text.index("Run 1 of 7 failed."), text.index("07:00 Focus is not kept. Camera 0 does not answer.")
    assert text.index("What went wrong") < failed < silent < text.index("refocuses good")
    assert "Nothing stands out." not in text
    well = replace(whole, runs=whole.runs[1:])
    text = read(report_page(well, made_at=MADE_AT, version="1")).text
    assert "What went wrong" not in text
    assert "Nothing stands out." in text


def test_every_chart_is_well_formed_and_stays_in_its_frame(rng: np.random.Generator) -> None:
    page = report_page(night(rng), made_at=MADE_AT, version="1.2.3")
    pictures = [part.split("</svg>")[0] for part in page.split("<svg ")[1:]]
    # The night in three charts, each run's curve, and the drift.
    assert len(pictures) == 3 + 7 + 1
    for each in pictures:
        picture = ET.fromstring(f"<svg {each}</svg>")  # noqa: S314 - our own
        _, _, width, height = map(float, picture.attrib["viewBox"].split())
        for circle in picture.iter("circle"):
            assert 0 <= float(circle.attrib["cx"]) <= width
            assert 0 <= float(circle.attrib["cy"]) <= height


def test_an_empty_night_has_a_page_too() -> None:
    page = report_page(
        ReviewedNight(telescope="Dob", date=night_of(BEGINS, timedelta(0))), made_at=MADE_AT, version="1"
    )
    assert "Nothing was recorded." in read(page).text


def test_a_lonely_run_has_a_page_too(rng: np.random.Generator) -> None:
    whole = night(rng)
    for runs in (whole.runs[:1], whole.runs[1:2]):
        for lights in ((), whole.lights[:1]):
            read(report_page(replace(whole, runs=runs, lights=lights), made_at=MADE_AT, version="1"))


@pytest.mark.parametrize("width", [1e-3, 0.7, 3.0, 25.0, 4321.0, 2e9])
def test_axes_have_a_few_round_numbers(width: float) -> None:
    chart = Chart(label="x", x=Range(1000.0, 1000.0 + width), y=Range(-width, 0.0), marks=())
    assert 4 <= chart_svg(chart).count("<text") <= 45


def test_a_range_is_never_empty() -> None:
    alone = range_of([5.0], least=2.0)
    assert alone.low < 4.0
    assert alone.high > 6.0


def test_frames_left_out_are_crosses_that_do_not_flatten_the_v(rng: np.random.Generator) -> None:
    good = KeptNight(rng).runs(90)[0]
    assert good.fit is not None
    outliers = [sample(good.samples[0].position, 11.0, "point"), sample(good.samples[2].position, 500.0, "point")]
    far = sample(good.samples[0].position - 5000, 400.0, "point")
    samples = (*good.samples, *outliers, far)
    count = len(good.samples)
    chart = v_curve(samples, replace(good.fit, rejected=(count, count + 1, count + 2)))
    assert 11.0 < chart.y.high < 25.0
    assert chart.x.low > good.samples[0].position - 100
    (left_out,) = (mark for mark in chart.marks if isinstance(mark, Points) and mark.crossed)
    assert [value for _, value in left_out.at] == [11.0, UPPER_END * chart.y.high]
    assert chart_svg(chart).count("<path") == 2
    assert chart_text(chart).count("x") - chart.label.count("x") == 2
