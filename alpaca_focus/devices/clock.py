"""The clocks of a running program: the real one, and one that runs faster for demonstrations."""

import asyncio
import time
from datetime import UTC, datetime, timedelta


class SystemClock:
    """The computer's own time."""

    def wall(self) -> datetime:
        """Return the time of day, UTC, aware."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that never step back, from an arbitrary zero."""
        return time.monotonic()

    async def sleep(self, duration_s: float) -> None:
        """Wait that many seconds; zero or less only lets other tasks run."""
        await asyncio.sleep(max(0.0, duration_s))


class ScaledClock:
    """A clock that runs `factor` times as fast, for a simulator with the same factor.

    Args:
        factor: Clock seconds in one real second.
        start: Time of day at the start, aware; default: now.
    """

    def __init__(self, factor: float, start: datetime | None = None) -> None:
        if not factor > 0:
            raise ValueError(f"Time cannot run {factor} times as fast: the factor has to be above zero.")
        self._factor = factor
        self._wall_start = datetime.now(UTC) if start is None else start
        self._start = time.monotonic()

    def wall(self) -> datetime:
        """Return the scaled time of day, UTC, aware."""
        return self._wall_start + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        """Return the scaled seconds since the clock was made."""
        return (time.monotonic() - self._start) * self._factor

    async def sleep(self, duration_s: float) -> None:
        """Wait that many scaled seconds; zero or less only lets other tasks run."""
        await asyncio.sleep(max(0.0, duration_s) / self._factor)
