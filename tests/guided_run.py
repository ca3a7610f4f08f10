"""A guider that is paused and resumed as a focus run does it, without the run."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from alpaca_focus.core.errors import DeviceError
from alpaca_focus.devices.phd2 import Phd2Guider
from tests.fake_phd2 import FakePhd2


def guider_at(address: str, *, pauses: bool = True, timeout_s: float = 5.0) -> Phd2Guider:
    return Phd2Guider(address, pauses=pauses, settle_px=1.5, settle_s=0.2, timeout_s=timeout_s)


def during_a_run(
    fake: FakePhd2,
    meanwhile: Callable[[], Awaitable[None]] | None = None,
    **how: Any,
) -> list[DeviceError | None]:
    """Pause and resume as the runner does; what went wrong with either."""

    async def run() -> list[DeviceError | None]:
        async with fake:
            guider = guider_at(fake.address, **how)
            return [await trouble_of(guider.pause), await between(), await trouble_of(guider.resume)][::2]

    async def between() -> None:
        fake.log.append(f"the run ({fake.state})")
        if meanwhile is not None:
            await meanwhile()

    return asyncio.run(run())


async def trouble_of(what: Callable[[], Awaitable[None]]) -> DeviceError | None:
    try:
        await what()
    except DeviceError as error:
        trouble = error
    else:
        return None
    assert trouble.device.startswith("PHD2 at ")
    assert str(trouble).startswith(trouble.device)
    assert str(trouble).endswith(".")
    assert "\n" not in str(trouble)
    return trouble
