"""Where the log goes: one line an event on standard error, for the programs of ours and for the libraries."""

import logging
import os
import sys

import structlog


def configure_logging(*, level: int = logging.WARNING) -> None:
    """Send structlog's events and the standard library's to standard error.

    Lines for people on a terminal, and one JSON object an event where systemd's journal reads. Standard output is left
    to what a command was asked for.

    Args:
        level: Of the events of ours that are told; of libraries, warnings and worse.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *_renderers(),
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("alpaca_focus").setLevel(level)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _renderers() -> list[structlog.typing.Processor]:
    if "JOURNAL_STREAM" in os.environ and not sys.stderr.isatty():
        return [structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer(ensure_ascii=False)]
    plain = structlog.dev.plain_traceback
    return [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]
