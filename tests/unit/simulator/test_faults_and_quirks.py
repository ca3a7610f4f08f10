from pathlib import Path

import pytest
from pydantic import ValidationError

from alpaca_focus.simulator.faults import KINDS, FaultBook, FaultRequest
from alpaca_focus.simulator.quirks import PERSONALITIES, QUIRKS, active_quirks
from alpaca_focus.simulator.settings import ObservatorySettings
from alpaca_focus.simulator.simulator_api import INDEX

PAGE = Path(__file__).parent.parent.parent.parent / "docs" / "simulator.md"


class Now:
    def __init__(self) -> None:
        self.s = 0.0

    def __call__(self) -> float:
        return self.s


def test_a_fault_ends_after_its_occurrences() -> None:
    book = FaultBook(Now())
    book.add(FaultRequest(kind="garbage", times=2))
    assert book.take("garbage", "camera", "gain") is not None
    assert book.peek("garbage", "camera", "gain") is not None
    assert book.take("garbage", "camera", "gain") is not None
    assert book.take("garbage", "camera", "gain") is None


def test_a_fault_ends_after_its_time() -> None:
    now = Now()
    book = FaultBook(now)
    number = book.add(FaultRequest(kind="no-answer", duration_s=10.0))
    now.s = 9.9
    assert book.peek("no-answer", "camera", "gain") is not None
    assert book.is_on(number)
    now.s = 10.0
    assert book.peek("no-answer", "camera", "gain") is None
    assert not book.is_on(number)


def test_a_fault_strikes_only_what_it_concerns() -> None:
    book = FaultBook(Now())
    book.add(FaultRequest(kind="http-500", device="camera", members=("imagearray",)))
    assert book.peek("http-500", "focuser", "imagearray") is None
    assert book.peek("http-500", "camera", "gain") is None
    assert book.peek("slow", "camera", "imagearray") is None
    assert book.peek("http-500", "camera", "imagearray") is not None


def test_faults_can_be_cleared_one_by_one_or_all() -> None:
    book = FaultBook(Now())
    first = book.add(FaultRequest(kind="clouds"))
    book.add(FaultRequest(kind="trail"))
    book.clear(first)
    assert [fault["kind"] for fault in book.listing()] == ["trail"]
    book.clear()
    assert book.listing() == []


def test_an_unknown_fault_is_refused_with_the_list() -> None:
    with pytest.raises(ValueError, match=r"There is no fault 'rain'\. There are: no-answer"):
        FaultBook(Now()).add(FaultRequest(kind="rain"))


def test_personalities_are_made_of_known_deviations() -> None:
    for name, personality in PERSONALITIES.items():
        assert set(personality.quirks) <= set(QUIRKS)
        assert active_quirks(name, ("no-halt",)) == {*personality.quirks, "no-halt"}


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"quirks": ("no-hatl",)}, "did you mean 'no-halt'"), ({"personality": "indigo"}, "did you mean 'indigo-like'")],
)
def test_an_unknown_name_is_refused_with_the_nearest(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        ObservatorySettings.model_validate(settings)


def test_the_page_on_the_simulator_names_everything() -> None:
    text = PAGE.read_text()
    for name in [*KINDS, *QUIRKS, *PERSONALITIES, *INDEX]:
        assert f"`{name}`" in text
