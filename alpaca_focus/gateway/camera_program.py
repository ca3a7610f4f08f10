"""What the camera is set to for the imaging program, kept while a focus run uses other settings."""

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, Self

import structlog

from alpaca_focus.alpaca.errors import AlpacaError, ErrorNumber
from alpaca_focus.gateway.upstream import Upstream

_MODES = ("readoutmode", "fastreadout")
_BINNING = ("binx", "biny")
_CORNER = ("startx", "starty")
_SIZE = ("numx", "numy")
_LEVELS = ("gain", "offset")
SETTINGS = (*_MODES, *_BINNING, *_CORNER, *_SIZE, *_LEVELS)
"""Members that the imaging program sets, in the order in which they are put back."""
LAST_EXPOSURE = ("lastexposureduration", "lastexposurestarttime")
HIDDEN = frozenset((*SETTINGS, *LAST_EXPOSURE))
_TRIES = 3
_SPELLED: Mapping[str, str] = MappingProxyType(
    {
        "readoutmode": "ReadoutMode",
        "fastreadout": "FastReadout",
        "binx": "BinX",
        "biny": "BinY",
        "startx": "StartX",
        "starty": "StartY",
        "numx": "NumX",
        "numy": "NumY",
        "gain": "Gain",
        "offset": "Offset",
    }
)

_log = structlog.get_logger(__name__)


class ProgramSettings:
    """The camera as the imaging program left it, and as it sets it meanwhile.

    Attributes:
        answers: What it answered, or how it refused, by member.
    """

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self.answers = dict(answers)
        self._written: set[str] = set()

    @classmethod
    async def read(cls, camera: Upstream, *, before: Self | None) -> Self:
        """Read the camera.

        Args:
            camera: The real one.
            before: What was kept when it was last taken, if the imaging program has not exposed since then: the last
                exposure is still the one of that time.

        Raises:
            UpstreamLost: The camera does not answer.
        """
        answers = {member: await _answer(camera, member) for member in SETTINGS}
        for member in LAST_EXPOSURE:
            answers[member] = await _answer(camera, member) if before is None else before.answers[member]
        return cls(answers)

    def get(self, member: str) -> Any:
        """Return what the camera answered, or what has been set since.

        Raises:
            AlpacaError: It refused.
        """
        answer = self.answers[member]
        if isinstance(answer, AlpacaError):
            raise answer
        return answer

    async def change(self, camera: Upstream, member: str, value: bool | int) -> None:  # noqa: FBT001 - a setting's value
        """Set something that the camera is to have when it is given back.

        Raises:
            AlpacaError: The camera has no such setting, or does not take the value.
            UpstreamLost: The camera does not answer.
        """
        self.get(member)
        least, most = await _limits(camera, member)
        if not least <= value <= most:
            raise AlpacaError(
                ErrorNumber.INVALID_VALUE, f"{_SPELLED[member]} goes from {least} to {most}, so {value} is not taken."
            )
        self.answers[member] = value
        self._written.add(member)

    async def put_back(self, camera: Upstream) -> None:
        """Make the camera what it was, and what has been set since.

        Raises:
            AlpacaError: It refuses.
            UpstreamLost: It does not answer.
        """
        for _ in range(_TRIES):
            wrong = await self._wrong(camera)
            if not wrong:
                return
            for member in (*_MODES, *_BINNING):
                if member in wrong:
                    await self._put(camera, member)
            if wrong & {*_BINNING, *_CORNER, *_SIZE}:
                await self._put_subframe(camera)
            for member in _LEVELS:
                if member in wrong:
                    await self._put(camera, member)
        wrong = await self._wrong(camera)
        if wrong:
            _log.error(
                "The camera does not take back the settings of the imaging program",
                settings={_SPELLED[member]: self.answers[member] for member in sorted(wrong)},
            )

    async def _put_subframe(self, camera: Upstream) -> None:
        """Go by way of the top left corner, so that no step of it reaches beyond the sensor."""
        wanted = self._subframe()
        for member in _CORNER:
            if member in wanted:
                await camera.put(member, **{_SPELLED[member]: 0})
        for member in (*_SIZE, *_CORNER):
            if member in wanted:
                await self._put(camera, member)

    def _subframe(self) -> tuple[str, ...]:
        """Return what of the subframe is to be put: after a change of the binning alone the camera chooses it."""
        has_new_binning = bool(self._written & set(_BINNING))
        return tuple(
            member
            for member in (*_CORNER, *_SIZE)
            if not isinstance(self.answers[member], AlpacaError) and (member in self._written or not has_new_binning)
        )

    async def _put(self, camera: Upstream, member: str) -> None:
        await camera.put(member, **{_SPELLED[member]: self.answers[member]})

    async def _wrong(self, camera: Upstream) -> set[str]:
        looked_at = {*_MODES, *_BINNING, *_LEVELS, *self._subframe()}
        wrong = set()
        for member in looked_at:
            wanted = self.answers[member]
            if not isinstance(wanted, AlpacaError) and await _answer(camera, member) != wanted:
                wrong.add(member)
        return wrong


async def use_whole_sensor(camera: Upstream) -> None:
    """Have the camera read its whole sensor: a small subframe of the imaging program may show too few stars.

    Raises:
        AlpacaError: It refuses.
        UpstreamLost: It does not answer.
    """
    for axis, corner, size in (("x", "StartX", "NumX"), ("y", "StartY", "NumY")):
        pixels = int(await camera.get(f"camera{axis}size")) // int(await camera.get(f"bin{axis}"))
        if await camera.get(size.lower()) != pixels:
            await camera.put(corner.lower(), **{corner: 0})
            await camera.put(size.lower(), **{size: pixels})


async def _answer(camera: Upstream, member: str) -> Any:
    try:
        return await camera.get(member)
    except AlpacaError as error:
        return error


async def _limits(camera: Upstream, member: str) -> tuple[float, float]:
    """Return what the camera says that it takes; anything where it does not say."""
    count = float("inf")
    questions: dict[str, Callable[[], Awaitable[tuple[float, float]]]] = {
        "binx": lambda: _from_one(camera, "maxbinx"),
        "biny": lambda: _from_one(camera, "maxbiny"),
        "numx": lambda: _from_one(camera, "cameraxsize"),
        "numy": lambda: _from_one(camera, "cameraysize"),
        "startx": lambda: _below(camera, "cameraxsize"),
        "starty": lambda: _below(camera, "cameraysize"),
        "readoutmode": lambda: _index(camera, "readoutmodes"),
        "gain": lambda: _level(camera, "gain"),
        "offset": lambda: _level(camera, "offset"),
    }
    try:
        return await questions[member]() if member in questions else (-count, count)
    except AlpacaError:
        return -count, count


async def _from_one(camera: Upstream, member: str) -> tuple[float, float]:
    return 1, await camera.get(member)


async def _below(camera: Upstream, member: str) -> tuple[float, float]:
    return 0, await camera.get(member) - 1


async def _index(camera: Upstream, member: str) -> tuple[float, float]:
    return 0, len(await camera.get(member)) - 1


async def _level(camera: Upstream, member: str) -> tuple[float, float]:
    """Gain and offset have either limits or a list of names."""
    try:
        return await camera.get(f"{member}min"), await camera.get(f"{member}max")
    except AlpacaError:
        return await _index(camera, f"{member}s")
