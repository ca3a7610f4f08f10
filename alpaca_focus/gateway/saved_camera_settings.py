"""Saves and restores the imaging program's camera settings around a focus run that uses others."""

import asyncio
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Self

import structlog

from alpaca_focus.alpaca.camera_settings import (
    BINNING,
    SETTINGS,
    TRIES,
    CameraMembers,
    Values,
    apply_settings,
    differing_settings,
    read_settings,
    whole_sensor,
    writes,
)
from alpaca_focus.alpaca.errors import AlpacaError, ErrorNumber
from alpaca_focus.core.camera_record import CameraRecord, PendingExposure
from alpaca_focus.gateway.upstream import Upstream
from alpaca_focus.ports import CameraMarker

_ASCOM_NAMES: Mapping[str, str] = {member.lower(): member for member in SETTINGS}
SETTING_MEMBERS = frozenset(_ASCOM_NAMES)
"""Members that the imaging program sets, in lower case as in requests."""
_BINNING = tuple(member.lower() for member in BINNING)
_LAST_EXPOSURE: Mapping[str, str] = {
    member.lower(): member for member in ("LastExposureDuration", "LastExposureStartTime")
}
SAVED_MEMBERS = frozenset((*SETTING_MEMBERS, *_LAST_EXPOSURE))
"""Members through which a focus run would show to the imaging program."""

_SIZE_LIMITS: Mapping[str, tuple[int, str, int]] = {
    "binx": (1, "maxbinx", 0),
    "biny": (1, "maxbiny", 0),
    "numx": (1, "cameraxsize", 0),
    "numy": (1, "cameraysize", 0),
    "startx": (0, "cameraxsize", 1),
    "starty": (0, "cameraysize", 1),
}
"""By member: least value, the member with the limit, and how far below that the greatest value is."""

_log = structlog.get_logger(__name__)


def _members_of(camera: Upstream) -> CameraMembers:
    """Return the real camera's members; one that the camera refuses has the `AlpacaError` as its value."""

    async def read(member: str) -> Any:
        try:
            return await camera.get(member.lower())
        except AlpacaError as error:
            return error

    async def write(member: str, value: Any) -> None:
        try:
            await camera.put(member.lower(), **{member: value})
        except AlpacaError as error:
            _log.debug("The camera refuses a setting of the imaging program", setting=member, why=str(error))

    async def pause(_duration_s: float) -> None:
        """Do nothing: every pause would prolong the hold of the imaging program's exposure."""

    return CameraMembers(read, write, pause)


class ProgramSettings:
    """The camera's settings as the imaging program left them, with the changes that it has requested since.

    Attributes:
        answers: Values or `AlpacaError`s by member in lower case.
    """

    def __init__(self, camera: Upstream, answers: Mapping[str, Any]) -> None:
        self.answers = dict(answers)
        self._camera = camera
        self._initial = dict(answers)
        self._written: dict[str, Any] = {}  # in the order of the last requests: some settings depend on others

    @classmethod
    async def read(cls, camera: Upstream, *, before: Self | None) -> Self:
        """Read the camera's settings.

        `before` are those saved for the run before, unless the imaging program has exposed since then: the camera's
        last exposure is now that run's, and the program's is known only from there.

        Raises:
            UpstreamLost: The camera does not answer.
        """
        answers = await read_settings(_members_of(camera), SETTINGS)
        last = await read_settings(_members_of(camera), _LAST_EXPOSURE) if before is None else before.answers
        return cls(
            camera,
            {member.lower(): answer for member, answer in answers.items()}
            | {member: last[member] for member in _LAST_EXPOSURE},
        )

    @classmethod
    def of_record(cls, camera: Upstream, record: CameraRecord) -> Self:
        """Return the settings that a killed program had saved; the camera refused those that are not in its record."""
        settings = {**dict.fromkeys(SETTINGS), **(record.settings or {})}
        known = {**settings, **dict.fromkeys(_LAST_EXPOSURE.values()), **record.last_exposure}
        made = cls(
            camera,
            {
                member.lower(): AlpacaError(ErrorNumber.NOT_IMPLEMENTED, f"The camera has no {member}.")
                if value is None
                else value
                for member, value in known.items()
            },
        )
        made._written = {member.lower(): value for member, value in record.changes.items()}
        made.answers |= made._written
        return made

    def record(self, *, is_changed: bool) -> CameraRecord:
        """Return what has to be on disk."""
        return CameraRecord(
            settings=_settings_of(self._initial),
            last_exposure={
                name: value
                for member, name in _LAST_EXPOSURE.items()
                if isinstance(value := self._initial[member], float | int | str)
            },
            changes=_settings_of(self._written),
            is_changed=is_changed,
        )

    def get(self, member: str) -> Any:
        """Return the value for the imaging program.

        Raises:
            AlpacaError: The camera refused the member.
        """
        if isinstance(answer := self.answers[member], AlpacaError):
            raise answer
        return answer

    async def change(self, member: str, value: bool | int) -> None:  # noqa: FBT001 - a setting's value
        """Change a setting that takes effect at the restore.

        Raises:
            AlpacaError: The camera has no such setting, or the value is outside its limits.
            UpstreamLost: The camera does not answer.
        """
        self.get(member)
        least, most = await _limits(self._camera, member)
        if not least <= value <= most:
            raise AlpacaError(
                ErrorNumber.INVALID_VALUE, f"{_ASCOM_NAMES[member]} {value} is out of range ({least} to {most})."
            )
        members: tuple[str, ...] = (member,)
        # Without CanAsymmetricBin a camera sets both axes at once.
        if member in _BINNING and await _members_of(self._camera).read("canasymmetricbin") is not True:
            members = _BINNING
        for each in members:
            self.answers[each] = value
            self._written.pop(each, None)
            self._written[each] = value

    async def restore(self) -> None:
        """Set the camera as it was, then to what the imaging program has requested since.

        Raises:
            UpstreamLost: The camera does not answer.
        """
        members = _members_of(self._camera)
        has_new_binning = any(self.answers[each] != self._initial[each] for each in _BINNING)
        # With a new binning many cameras choose a new subframe, derived from the one they have: so the old subframe is
        # restored first, and the program's own requests are repeated after that, in its order.
        wanted = _settings_of(self._initial if has_new_binning else self.answers)
        wrong = await apply_settings(members, wanted, await read_settings(members, wanted))
        _log_wrong(wanted, wrong)
        if has_new_binning:
            written = _settings_of(self._written)
            _log_wrong(written, await _replay(members, written))


def _settings_of(answers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that the camera has by ASCOM name, in the order of the answers."""
    return {
        _ASCOM_NAMES[member]: answer
        for member, answer in answers.items()
        if member in _ASCOM_NAMES and isinstance(answer, int | float | str)
    }


async def _replay(members: CameraMembers, written: Values) -> dict[str, Any]:
    """Repeat the imaging program's writes in its order; return the settings that still differ."""
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
            "The camera did not accept the imaging program's settings. Check them before the next exposure.",
            settings={member: wanted[member] for member in sorted(wrong)},
        )


class SavedCameraSettings:
    """Saves the imaging program's camera settings before a focus run, and restores them after it.

    Both, and an exposure of the program that waits, are on disk as well (decision 0027).

    Attributes:
        program: The settings saved last; they stay until the imaging program's next exposure.
        is_changed: Whether the camera may have other settings than the imaging program's.
        pending: An exposure of the program that has not begun; `note_exposure` changes it.
        lock: Held while settings are read or written, so that a request in between is not lost.
    """

    def __init__(self, camera: Upstream, marker: CameraMarker) -> None:
        self._camera = camera
        self._marker = marker
        left = self._on_disk = marker.read() or CameraRecord()
        self.program = None if left.settings is None else ProgramSettings.of_record(camera, left)
        self.is_changed = left.is_changed
        self.pending = left.exposure
        self.lock = asyncio.Lock()

    @property
    def is_hidden(self) -> bool:
        """Whether the camera's last exposure is a focus run's, to be hidden from the imaging program."""
        return self.program is not None

    def note_exposure(self, pending: PendingExposure | None) -> None:
        """Note an exposure that waits, or is being sent to the camera; `None`: none is."""
        self.pending = pending
        self._write()

    def exposure_began(self) -> None:
        """Note that the camera's last exposure is the imaging program's again."""
        self.program = self.pending = None
        self._write()

    def _write(self) -> None:
        record = CameraRecord() if self.program is None else self.program.record(is_changed=self.is_changed)
        record = replace(record, exposure=self.pending)
        if record != self._on_disk:
            self._marker.write(record)
            self._on_disk = record

    async def save(self, *, use_whole_sensor: bool) -> None:
        """Save the settings before a focus run, and with `use_whole_sensor` set the whole sensor, for more stars.

        Raises:
            UpstreamLost: The camera does not answer.
        """
        # Settings that could not be restored after the run before must not be saved as the program's.
        await self.restore()
        async with self.lock:
            self.program = await ProgramSettings.read(self._camera, before=self.program)
            self.is_changed = True
            self._write()
            if use_whole_sensor:
                await self._use_whole_sensor()

    async def restore(self) -> None:
        """Restore the settings, or retry a restore that failed; harmless when nothing was changed.

        Raises:
            UpstreamLost: The camera does not answer.
        """
        async with self.lock:
            if self.is_changed and self.program is not None:
                await self.program.restore()
            self.is_changed = False
            self._write()

    async def change(self, member: str, value: bool | int) -> None:  # noqa: FBT001 - a setting's value
        """Change a setting of the imaging program while a run has the camera; raises what `ProgramSettings` raises."""
        assert self.program is not None  # noqa: S101 - the caller has checked
        await self.program.change(member, value)
        self._write()

    async def _use_whole_sensor(self) -> None:
        get = self._camera.get
        try:
            wanted = whole_sensor(
                int(await get("cameraxsize")),
                int(await get("cameraysize")),
                bin_x=int(await get("binx")),
                bin_y=int(await get("biny")),
            )
            # Not verified: a slightly smaller frame is good enough, and verifying takes time from the gap.
            for member, value in writes(wanted, await differing_settings(_members_of(self._camera), wanted)):
                await self._camera.put(member.lower(), **{member: value})
        except AlpacaError as error:
            _log.warning(
                "The camera refused the whole sensor; the focus run uses the imaging program's subframe", why=str(error)
            )


async def _limits(camera: Upstream, member: str) -> tuple[float, float]:
    """Return the camera's reported limits, or (-inf, inf) if it reports none."""
    try:
        if member in _SIZE_LIMITS:
            least, source, margin_px = _SIZE_LIMITS[member]
            return least, await camera.get(source) - margin_px
        if member in {"gain", "offset"}:  # they have either limits or a list of names
            with suppress(AlpacaError):
                return await camera.get(f"{member}min"), await camera.get(f"{member}max")
        if member in {"readoutmode", "gain", "offset"}:
            return 0, len(await camera.get(f"{member}s")) - 1
    except AlpacaError:
        pass
    return -math.inf, math.inf
