"""Work for the night's loop that comes from another one: the gateway and the web server each have their own."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from alpaca_focus.core.errors import ConfigurationError

T = TypeVar("T")


def begun_in(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T]) -> asyncio.Future[T]:
    """Begin to carry something out in another loop; what is returned is waited for in the present one.

    Raises:
        ConfigurationError: That loop has ended.
    """
    try:
        future = asyncio.run_coroutine_threadsafe(work, loop)
    except RuntimeError as error:
        # The loop is closed.
        work.close()
        raise ConfigurationError("alpaca-focus has just stopped.") from error
    return asyncio.wrap_future(future)
