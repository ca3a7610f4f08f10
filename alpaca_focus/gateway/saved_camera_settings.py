"""The imaging program's camera settings, saved while a focus run uses others: read, kept up to date and put back."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, Self

import structlog

from alpaca_focus.alpaca.camera_settings import (
    BINNING,
    SETTINGS,
    TRIES,
    Values,
    apply_settings,
    differing_settings,
    read_settings,
    whole_sensor,
    writes,
)
from alpaca_focus.alpaca.errors import AlpacaError, ErrorNumber
from alpaca_focus.gateway.upstream import Upstream

_SPELLED: Mapping[str, str] = MappingProxyType({member.lower(): member for member in SETTINGS})
SETTING_MEMBERS = frozenset(_SPELLED)
"""Members that the imaging program sets, as requests name them."""
_LAST_EXPOSURE = ("lastexposureduration", "lastexposurestarttime")
SAVED_MEMBERS = frozenset((*SETTING_MEMBERS, *_LAST_EXPOSURE))
"""Members that show what a focus run does with the camera."""

_log = structlog.get_logger(__name__)


class _UpstreamMembers:
    """The real camera's settings; a member that it refuses has the refusal as its value, and stops no other one."""

    def __init__(self, camera: Upstream) -> None:
        self._camera = camera

    async def read(self, member: str) -> Any:
        try:
            return await self._camera.get(member.lower())
        except AlpacaError as error:
            return error

    async def write(self, member: str, value: Any) -> None:
        try:
            await self._camera.put(member.lower(), **{member: value})
        except AlpacaError as error:
            _log.debug("The camera refuses a setting of the imaging program", setting=member, why=str(error))

    async def pause(self, duration_s: float) -> None:
        """Do nothing: the imaging program waits."""


class ProgramSettings:
    """The camera as the imaging program left it, with what the program has set since.

    Attributes:
        answers: The camera's answers, or its refusals, by member in lower case.
    """

    def __init__(self, camera: Upstream, answers: Mapping[str, Any]) -> None:
        self.answers = dict(answers)
        self._camera = camera
        self._found: Mapping[str, Any] = MappingProxyType(dict(answers))
        # In the order in which they were set last: where they depend on each other, the camera gets them so.
        self._written: dict[str, Any] = {}

    @classmethod
    async def read(cls, camera: Upstream, *, before: Self | None) -> Self:
        """Read the camera.

        Args:
            camera: The real one.
            before: What was saved last time, if the imaging program has not exposed since then: the last exposure is
                still the one of that time.

        Raises:
            UpstreamLost: The camera does not answer.
        """
        answers = await read_settings(_UpstreamMembers(camera), SETTINGS)
        last = await read_settings(_UpstreamMembers(camera), _LAST_EXPOSURE) if before is None else before.answers
        return cls(
            camera,
            {member.lower(): answer for member, answer in answers.items()}
            | {member: last[member] for member in _LAST_EXPOSURE},
        )

    def get(self, member: str) -> Any:
        """Return what the camera answered, or what has been set since.

        Raises:
            AlpacaError: It refused.
        """
        answer = self.answers[member]
        if isinstance(answer, AlpacaError):
            raise answer
        return answer

    async def change(self, member: str, value: bool | int) -> None:  # noqa: FBT001 - a setting's value
        """Change a setting that the camera is to have when it is put back.

        Raises:
            AlpacaError: The camera has no such setting, or does not accept the value.
            UpstreamLost: The camera does not answer.
        """
        self.get(member)
        least, most = await _limits(self._camera, member)
        if not least <= value <= most:
            raise AlpacaError(
                ErrorNumber.INVALID_VALUE, f"{_SPELLED[member]} goes from {least} to {most}, so {value} is not taken."
            )
        is_of_both_axes = _SPELLED[member] in BINNING and not await self._bins_asymmetrically()
        for each in [each.lower() for each in BINNING] if is_of_both_axes else (member,):
            self.answers[each] = value
            self._written.pop(each, None)
            self._written[each] = value

    async def _bins_asymmetrically(self) -> bool:
        return await _UpstreamMembers(self._camera).read("canasymmetricbin") is True

    async def put_back(self) -> None:
        """Set the camera as it was, and to what has been set since.

        Raises:
            UpstreamLost: It does not answer.
        """
        members = _UpstreamMembers(self._camera)
        has_new_binning = any(self.answers[each.lower()] != self._found[each.lower()] for each in BINNING)
        # The camera chooses the subframe that goes with a new binning, and it chooses from the one that it has.
        wanted = _settings_of(self._found if has_new_binning else self.answers)
        wrong = await apply_settings(members, wanted, await read_settings(members, wanted))
        _log_wrong(wanted, wrong)
        if has_new_binning:
            written = _settings_of(self._written)
            _log_wrong(written, await _replay(members, written))


def _settings_of(answers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that the camera has, spelled as they are written, in the order of the answers."""
    return {
        _SPELLED[member]: answer
        for member, answer in answers.items()
        if member in _SPELLED and not isinstance(answer, AlpacaError)
    }


async def _replay(members: _UpstreamMembers, written: Values) -> dict[str, Any]:
    """Set what the imaging program has set, in its order; return what still differs."""
    wrong: dict[str, Any] = {}
    for _ in range(TRIES):
        for member, value in written.items():
            await members.write(member, value)
        wrong = await differing_settings(members, written)
        if not wrong:
            break
    return wrong


def _log_wrong(wanted: Values, wrong: Values) -> None:
    if wrong:
        _log.error(
            "The camera does not take back the settings of the imaging program; look at them before the next exposure",
            settings={member: wanted[member] for member in sorted(wrong)},
        )


class SavedCameraSettings:
    """Saves the imaging program's camera settings before a focus run, and restores them after it.

    Args:
        camera: The real one.

    Attributes:
        program: The settings as they were saved last; kept until the imaging program's next exposure.
        is_changed: Whether the camera may be set otherwise than the imaging program wants: `program` answers for it.
        lock: Held while settings are read or written, so that none is lost between two owners.
    """

    def __init__(self, camera: Upstream) -> None:
        self._camera = camera
        self.program: ProgramSettings | None = None
        self.is_changed = False
        self.lock = asyncio.Lock()

    @property
    def is_hidden(self) -> bool:
        """Whether the camera's last exposure is a focus run's, which the imaging program must not see."""
        return self.program is not None

    async def save(self, *, use_whole_sensor: bool) -> None:
        """Read how the camera is set, for a focus run that may change it.

        Args:
            use_whole_sensor: Whether to set the whole sensor: a small subframe may show too few stars.

        Raises:
            UpstreamLost: The camera does not answer.
        """
        await self.restore()
        async with self.lock:
            self.program = await ProgramSettings.read(self._camera, before=self.program)
            self.is_changed = True
            if use_whole_sensor:
                await self._use_whole_sensor()

    async def restore(self) -> None:
        """Put back what was changed, or could not be put back after the run; harmless when nothing was changed.

        Raises:
            UpstreamLost: The camera does not answer.
        """
        async with self.lock:
            if self.is_changed and self.program is not None:
                await self.program.put_back()
            self.is_changed = False

    async def _use_whole_sensor(self) -> None:
        get = self._camera.get
        try:
            wanted = whole_sensor(
                int(await get("cameraxsize")),
                int(await get("cameraysize")),
                bin_x=int(await get("binx")),
                bin_y=int(await get("biny")),
            )
            # Not verified: a frame that is a little smaller is good enough.
            for member, value in writes(wanted, await differing_settings(_UpstreamMembers(self._camera), wanted)):
                await self._camera.put(member.lower(), **{member: value})
        except AlpacaError as error:
            _log.warning("The focus run has only the imaging program's subframe", why=str(error))


async def _limits(camera: Upstream, member: str) -> tuple[float, float]:
    """Return the camera's reported limits, or (-inf, inf) if it reports none."""
    limits: dict[str, Callable[[], Awaitable[tuple[float, float]]]] = {
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
    infinity = float("inf")
    try:
        return await limits[member]() if member in limits else (-infinity, infinity)
    except AlpacaError:
        return -infinity, infinity


async def _from_one(camera: Upstream, member: str) -> tuple[float, float]:
    return 1, await camera.get(member)


async def _below(camera: Upstream, member: str) -> tuple[float, float]:
    return 0, await camera.get(member) - 1


async def _index(camera: Upstream, member: str) -> tuple[float, float]:
    return 0, len(await camera.get(member)) - 1


async def _level(camera: Upstream, member: str) -> tuple[float, float]:
    """Return the limits of gain or offset, which have either limits or a list of names."""
    try:
        return await camera.get(f"{member}min"), await camera.get(f"{member}max")
    except AlpacaError:
        return await _index(camera, f"{member}s")
