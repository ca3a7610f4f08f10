"""Entries in the journal, on a real socket, read back by its protocol."""

import fcntl
import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from alpaca_focus.service.systemd import JournalHandler, entry, field_name, journal_reads, priority


def read_back(data: bytes) -> dict[str, str]:
    fields = {}
    while data:
        line, _, rest = data.partition(b"\n")
        name, is_plain, value = line.partition(b"=")
        if not is_plain:
            length = int.from_bytes(rest[:8], "little")
            value, rest = rest[8 : 8 + length], rest[8 + length + 1 :]
        fields[name.decode()] = value.decode()
        data = rest
    return fields


class Journal:
    def __init__(self, receiver: socket.socket) -> None:
        self._receiver = receiver
        self.seals = 0

    def next(self) -> dict[str, str]:
        data, files, _, _ = socket.recv_fds(self._receiver, 1 << 20, 1)
        for number in files:
            self.seals = fcntl.fcntl(number, fcntl.F_GET_SEALS)
            with os.fdopen(number, "rb") as file:
                file.seek(0)
                data = file.read()
        return read_back(data)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    place = str(tmp_path / "journal")
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as receiver:
        receiver.bind(place)
        receiver.settimeout(5.0)
        yield Journal(receiver)


@pytest.fixture
def log(tmp_path: Path, journal: Journal) -> Iterator[logging.Logger]:
    logger = logging.getLogger("alpaca_focus.somewhere")
    handler = JournalHandler(str(tmp_path / "journal"))
    before, logger.level = logger.level, logging.DEBUG
    logger.addHandler(handler)
    assert journal, "it listens first"
    yield logger
    logger.removeHandler(handler)
    logger.setLevel(before)
    handler.close()


def ours(log: logging.Logger) -> structlog.stdlib.BoundLogger:
    wrapped: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        log,
        processors=[structlog.stdlib.add_log_level, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    return wrapped


def test_each_fact_is_a_field_and_stands_in_the_text(journal: Journal, log: logging.Logger) -> None:
    ours(log).warning("The focuser goes back", position=24921, why="clouds,\nperhaps")
    fields = journal.next()
    assert fields.pop("THREAD_NAME")
    assert fields == {
        "MESSAGE": "The focuser goes back [position=24921, why=clouds,\nperhaps]",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "alpaca-focus",
        "LOGGER": "alpaca_focus.somewhere",
        "ALPACA_FOCUS_POSITION": "24921",
        "ALPACA_FOCUS_WHY": "clouds,\nperhaps",
    }


def test_lines_of_libraries_are_taken_too(journal: Journal, log: logging.Logger) -> None:
    log.info("%s answers", "focuser 0")
    fields = journal.next()
    assert (fields["MESSAGE"], fields["PRIORITY"]) == ("focuser 0 answers", "6")


def test_a_traceback_is_a_field_and_not_in_the_text(journal: Journal, log: logging.Logger) -> None:
    for logger in (log, ours(log)):
        try:
            int("so it is")
        except ValueError:
            logger.exception("The program itself failed")
        fields = journal.next()
        assert fields["MESSAGE"] == "The program itself failed"
        assert fields["PRIORITY"] == "3"
        assert fields["TRACEBACK"].startswith("Traceback")
        assert fields["TRACEBACK"].endswith("'so it is'")


def test_what_is_too_large_for_a_datagram_goes_as_a_sealed_file(journal: Journal, log: logging.Logger) -> None:
    ours(log).error("Too much", text="x" * 1_000_000)
    assert journal.next()["ALPACA_FOCUS_TEXT"] == "x" * 1_000_000
    assert journal.seals == fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL


def test_without_a_journal_the_line_is_on_standard_error(
    tmp_path: Path, log: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "journal").unlink()
    ours(log).error("The focuser does not answer", position=24921)
    assert capsys.readouterr().err.startswith("The focuser does not answer [position=24921] (the journal refused it:")


def test_a_line_that_is_no_text_is_taken_too(journal: Journal, log: logging.Logger) -> None:
    log.info({"something": "else"})
    fields = journal.next()
    assert fields["MESSAGE"].startswith("{'something': 'else'}")
    assert fields["ALPACA_FOCUS_SOMETHING"] == "else"


@given(st.dictionaries(st.from_regex(r"[A-Z][A-Z0-9_]{0,20}", fullmatch=True), st.text(st.characters(codec="utf-8"))))
def test_any_text_survives(fields: dict[str, str]) -> None:
    assert read_back(entry(fields)) == fields


@given(st.text(min_size=1))
def test_names_are_such_as_the_journal_takes(name: str) -> None:
    found = field_name(name)
    assert len(found) <= 64
    assert set(found) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")


def test_levels_are_those_of_syslog() -> None:
    assert [priority(level) for level in (10, 20, 30, 40, 50)] == [7, 6, 4, 3, 2]


def test_only_the_stream_that_the_journal_reads_counts(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as stream:
        found = os.fstat(stream.fileno())
        assert journal_reads(stream, f"{found.st_dev}:{found.st_ino}")
        assert not journal_reads(stream, "8:1")
        assert not journal_reads(stream, None)
    assert not journal_reads(stream, "8:1")
    assert not journal_reads(sys.stdin, None)
