"""Stands before every request to the simulated devices: faults first, then the deviations of the server played."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from alpaca_focus.alpaca.errors import ErrorNumber
from alpaca_focus.alpaca.replies import IMAGE_BYTES, TEXT_PLAIN, ApiRequest, Handler, Reply
from alpaca_focus.alpaca.served import ServedDevice
from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.simulator.reply_quirks import changed_reply, changed_request, json_error, missing_reply
from alpaca_focus.simulator.world import World

SLOW_FIRST_S = 2.0
LOOK_AGAIN_S = 0.05
Devices = Mapping[tuple[DeviceType, int], ServedDevice]


class FaultInterceptor:
    """The interceptor of the simulated server.

    Args:
        world: Holds the faults and the deviations.
        devices: The devices that are served.
    """

    def __init__(self, world: World, devices: Devices) -> None:
        self._world = world
        self._devices = {(str(kind), number): device for (kind, number), device in devices.items()}
        self._met: set[str] = set()

    async def __call__(self, request: ApiRequest, handler: Handler) -> Reply:
        """Answer a request, or not."""
        faults, kind, member = self._world.faults, request.device_type, request.member
        await self._delay(request)
        if faults.take("power-off", kind, member) is not None:
            device = self._devices.get((kind, request.device_number))
            if device is not None:
                device.connected = False
            return json_error(request, ErrorNumber.DRIVER_BASE, f"The {kind} has no power.")
        if faults.take("http-500", kind, member) is not None:
            return Reply(status=500, content_type=TEXT_PLAIN, body=b"The server failed.")
        if faults.take("garbage", kind, member) is not None:
            return Reply(body=b"<html>\xff\xfe it works!</html>")
        if kind == DeviceType.FOCUSER and member == "temperature" and faults.take("temperature-nan") is not None:
            return _with_nan(request)
        reply = await self._answer(request, handler)
        return self._cut(reply) if reply.content_type == IMAGE_BYTES else reply

    async def _delay(self, request: ApiRequest) -> None:
        """Keep the client waiting, for ever if need be: the server's stop cancels it."""
        faults, kind, member = self._world.faults, request.device_type, request.member
        if "slow-first-reply" in self._world.quirks and kind not in self._met:
            self._met.add(kind)
            await asyncio.sleep(SLOW_FIRST_S)
        slow = faults.take("slow", kind, member)
        if slow is not None:
            await asyncio.sleep(slow.value)
        silent = faults.take("no-answer", kind, member)
        while silent is not None and faults.is_on(silent.number):  # noqa: ASYNC110 - the book tells nobody
            await asyncio.sleep(LOOK_AGAIN_S)

    async def _answer(self, request: ApiRequest, handler: Handler) -> Reply:
        quirks = self._world.quirks
        missing = missing_reply(request, quirks)
        if missing is not None:
            return missing
        reply = await handler(changed_request(request, quirks))
        return changed_reply(request, reply, quirks, present_size=self._world.frame_size)

    def _cut(self, reply: Reply) -> Reply:
        length = sum(memoryview(piece).nbytes for piece in reply.body) if isinstance(reply.body, tuple | list) else 0
        cut = self._world.faults.take("cut-image", DeviceType.CAMERA)
        if cut is not None:
            return replace(reply, cut_after=int(length * cut.value))
        stall = self._world.faults.take("stall-image", DeviceType.CAMERA)
        return reply if stall is None else replace(reply, stall_after=int(length * stall.value))


def _with_nan(request: ApiRequest) -> Reply:
    """NaN is not JSON, and sent all the same by servers whose language writes it so."""
    body = json_error(request, 0, "").body
    text = bytes(body) if isinstance(body, bytes) else b"{}"
    return Reply(body=text[:-1] + b', "Value": NaN}')
