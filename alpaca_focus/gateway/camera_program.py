"""What the camera is set to for the imaging program, kept while a focus run uses other settings."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
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
        self._found: Mapping[str, Any] = MappingProxyType(dict(answers))
        # In the order in which they were set last: where they depend on each other, the camera gets them so.
        self._written: dict[str, Any] = {}

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
        both = member in _BINNING and not await _bins_asymmetrically(camera)
        for each in _BINNING if both else (member,):
            self.answers[each] = value
            self._written.pop(each, None)
            self._written[each] = value

    async def put_back(self, camera: Upstream) -> None:
        """Make the camera what it was, and what has been set since.

        Raises:
            UpstreamLost: It does not answer.
        """
        if self._has_new_binning:
            # The camera chooses the subframe that goes with a new binning, and it chooses from the one that it has.
            await self._restore(camera, self._found)
            await self._replay(camera)
        else:
            await self._restore(camera, self.answers)

    @property
    def _has_new_binning(self) -> bool:
        return any(self.answers[member] != self._found[member] for member in _BINNING)

    async def _restore(self, camera: Upstream, wanted: Mapping[str, Any]) -> None:
        """Set everything that is not as wanted, and look whether it is now."""
        for _ in range(_TRIES):
            wrong = await _wrong(camera, wanted, SETTINGS)
            if not wrong:
                return
            for member in (*_MODES, *_BINNING):
                if member in wrong:
                    await _put(camera, member, wanted[member])
            if wrong & {*_MODES, *_BINNING, *_CORNER, *_SIZE}:
                await _put_subframe(camera, wanted)
            for member in _LEVELS:
                if member in wrong:
                    await _put(camera, member, wanted[member])
        await _tell_wrong(camera, wanted, SETTINGS)

    async def _replay(self, camera: Upstream) -> None:
        """Set what has been set since, in the same order."""
        for _ in range(_TRIES):
            for member, value in self._written.items():
                await _put(camera, member, value)
            if not await _wrong(camera, self._written, tuple(self._written)):
                return
        await _tell_wrong(camera, self._written, tuple(self._written))


async def _put_subframe(camera: Upstream, wanted: Mapping[str, Any]) -> None:
    """Go by way of the top left corner, so that no step of it reaches beyond the sensor."""
    for member in _CORNER:
        await _put(camera, member, 0 if not isinstance(wanted[member], AlpacaError) else wanted[member])
    for member in (*_SIZE, *_CORNER):
        await _put(camera, member, wanted[member])


async def _put(camera: Upstream, member: str, value: Any) -> None:
    """Set one thing; where the camera refuses, the others are set all the same."""
    if isinstance(value, AlpacaError):
        # The camera has no such setting.
        return
    try:
        await camera.put(member, **{_SPELLED[member]: value})
    except AlpacaError as error:
        _log.debug("The camera refuses a setting of the imaging program", setting=_SPELLED[member], why=str(error))


async def _wrong(camera: Upstream, wanted: Mapping[str, Any], members: Sequence[str]) -> set[str]:
    return {
        member
        for member in members
        if not isinstance(wanted[member], AlpacaError) and await _answer(camera, member) != wanted[member]
    }


async def _tell_wrong(camera: Upstream, wanted: Mapping[str, Any], members: Sequence[str]) -> None:
    wrong = await _wrong(camera, wanted, members)
    if wrong:
        _log.error(
            "The camera does not take back the settings of the imaging program; look at them before the next exposure",
            settings={_SPELLED[member]: wanted[member] for member in sorted(wrong)},
        )


async def _bins_asymmetrically(camera: Upstream) -> bool:
    return await _answer(camera, "canasymmetricbin") is True


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
