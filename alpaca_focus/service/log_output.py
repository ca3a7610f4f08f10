"""The log of this program and its libraries: one line an event on standard error, or entries in the journal."""

import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog

from alpaca_focus.service.systemd import JOURNAL_SOCKET, JournalHandler, journal_reads

LOG_ONLY_FIELDS = frozenset({"exc_info", "stack_info", "timestamp"})
"""Fields of an event that are not forwarded."""


def configure_logging(*, level: int = logging.WARNING) -> None:
    """Send the events of structlog and the standard library to standard error, or to systemd's journal.

    If the journal reads standard error, each event goes to it directly, with its facts as fields. Standard output stays
    free for the result of a command.

    Args:
        level: Lowest level of this program's events; libraries log warnings and worse.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    handler = _handler(shared)
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("alpaca_focus").setLevel(level)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _handler(shared: list[structlog.typing.Processor]) -> logging.Handler:
    if journal_reads(sys.stderr, os.environ.get("JOURNAL_STREAM")) and Path(JOURNAL_SOCKET).exists():
        return JournalHandler()
    handler = logging.StreamHandler(sys.stderr)
    renderer = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    return handler


@contextmanager
def forward_events(listener: Callable[[Mapping[str, object]], None]) -> Iterator[None]:
    """Forward every event of this program, from "info" on, to a listener besides the log.

    It is called in the thread of the event, with the event, its level, and its other fields.
    """

    def forward(_: Any, level: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if level != "debug":
            fields = {name: value for name, value in event.items() if name not in LOG_ONLY_FIELDS}
            listener({**fields, "level": "error" if level == "exception" else level})
        return event

    # In place, because loggers in use hold a reference to the list.
    processors = structlog.get_config()["processors"]
    processors.insert(0, forward)
    try:
        yield
    finally:
        processors.remove(forward)
