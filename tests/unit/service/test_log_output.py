from collections.abc import Mapping

import pytest
import structlog
from structlog.testing import capture_logs

from alpaca_focus.service.log_output import forward_events


def test_events_of_the_log_are_forwarded_to_a_listener() -> None:
    events: list[Mapping[str, object]] = []
    log = structlog.get_logger("somewhere")
    with capture_logs() as lines:
        log.info("before")
        with forward_events(events.append):
            log.info("The focuser has moved", position=1000)
            log.debug("A detail")
            try:
                int("so it is")
            except ValueError:
                log.exception("The program itself failed")
        log.info("after")
    assert events == [
        {"event": "The focuser has moved", "position": 1000, "level": "info"},
        {"event": "The program itself failed", "level": "error"},
    ]
    assert [line["event"] for line in lines] == [
        "before",
        "The focuser has moved",
        "A detail",
        "The program itself failed",
        "after",
    ]


def test_nothing_is_forwarded_after_the_block_fails() -> None:
    events: list[Mapping[str, object]] = []
    before = list(structlog.get_config()["processors"])
    with pytest.raises(RuntimeError), forward_events(events.append):
        raise RuntimeError
    assert structlog.get_config()["processors"] == before
