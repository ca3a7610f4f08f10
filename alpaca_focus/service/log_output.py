"""Where the log goes: one line an event on standard error, for the programs of ours and for the libraries."""

import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog

from alpaca_focus.service.systemd import JOURNAL_SOCKET, JournalHandler, journal_reads

UNTOLD = frozenset({"exc_info", "stack_info", "timestamp"})
"""Fields of an event that are for the log alone."""


def configure_logging(*, level: int = logging.WARNING) -> None:
    """Send structlog's events and the standard library's to standard error.

    Lines for people; where systemd's journal reads standard error, it gets each event with its facts as fields of their
    own. Standard output is left to what a command was asked for.

    Args:
        level: Of the events of ours that are told; of libraries, warnings and worse.
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
def told_to(listener: Callable[[Mapping[str, object]], None]) -> Iterator[None]:
    """Tell every event of ours, from "info" on, to somebody besides the log.

    Args:
        listener: Called in the thread of the event with the event, its level, and its other fields.
    """

    def tell(_: Any, level: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if level != "debug":
            fields = {name: value for name, value in event.items() if name not in UNTOLD}
            listener({**fields, "level": "error" if level == "exception" else level})
        return event

    # In place, because loggers that are in use already keep the list itself.
    processors = structlog.get_config()["processors"]
    processors.insert(0, tell)
    try:
        yield
    finally:
        processors.remove(tell)
