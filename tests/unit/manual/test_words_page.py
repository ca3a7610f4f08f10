"""Every word that the program says for a reason is explained."""

import inspect
import re

import pytest

from alpaca_focus.core.curves.curve_models import CurveModel
from alpaca_focus.core.metrics import METRICS
from alpaca_focus.core.night.decisions import inhibitors
from alpaca_focus.core.night.notices import Kind
from alpaca_focus.core.values import Outcome
from tools.manual import words_page
from tools.manual.words_page import WAITS, page, reasons_to_wait


def test_every_reason_to_wait_is_met_and_explained() -> None:
    source = inspect.getsource(inhibitors)
    reasons = re.findall(r'^        (?:f?"[^"]*"|[A-Z_]+): ', source, re.MULTILINE)
    # One more for each silent device.
    assert len(reasons_to_wait()) == len(reasons) + 1
    assert set(reasons_to_wait()) == set(WAITS)


def test_a_reason_that_is_not_explained_fails_the_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words_page, "WAITS", {name: told for name, told in WAITS.items() if name != "paused"})
    with pytest.raises(KeyError, match="paused"):
        page()


def test_all_tables_are_complete() -> None:
    text = page()
    for word in (*Outcome, *Kind, *METRICS):
        assert f"| `{word}` |" in text
    for model in CurveModel:
        assert f"| {model.value} |" in text
