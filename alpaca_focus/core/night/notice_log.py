"""Decides which changes of the night are worth a notice, and that each failure brings one (decision 0031)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from alpaca_focus.core.night.notices import (
    OBSERVATORY,
    THERMOMETER,
    EndedRun,
    Kind,
    Notice,
    loss_notice,
    position_notice,
    return_notice,
    run_notice,
)
from alpaca_focus.core.night.state import NIGHT_S
from alpaca_focus.core.outages import Outage, outages_of
from alpaca_focus.core.status import REQUIRED, PolledDevice
from alpaca_focus.core.values import Position

LOST_AFTER_S = 60.0
"""A device that misses one or two requests is not lost; and one is back when it has answered for so long."""
TEMPERATURE_SOURCES = frozenset({"focuser", "thermometer"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """The present state of the devices and runs.

    Attributes:
        devices: As the last poll found them; empty while they are not connected.
        waits_for: Why the devices are not connected; empty: they are.
        temperature_problem: Why the latest temperature was rejected; empty: it was accepted.
        position_problem: Why the focuser's position needs a refocus; empty: it needs none.
        belongs_at: Where the focuser belongs, if a run or a move that was cut off has left it elsewhere.
        daylight: Whether the sun is up: then devices may be switched off.
        runs_ended: How many runs have ended since the daemon connected the devices.
        run: The last of them; `None`: none has ended.
    """

    devices: tuple[PolledDevice, ...] = ()
    waits_for: str = ""
    temperature_problem: str = ""
    position_problem: str = ""
    belongs_at: Position | None = None
    daylight: bool = False
    runs_ended: int = 0
    run: EndedRun | None = None

    @property
    def outages(self) -> tuple[Outage, ...]:
        """What does not answer, with the thermometer while no temperature is accepted."""
        devices = list(self.devices)
        if self.waits_for:
            devices.append(PolledDevice(kind="camera", name=OBSERVATORY, answers=False, why=self.waits_for))
        if self.temperature_problem:
            why = self.temperature_problem
            devices.append(PolledDevice(kind="thermometer", name=THERMOMETER, answers=False, why=why))
        return outages_of(devices)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """An outage that has lasted, until it is over.

    Attributes:
        since_s: When it began.
        is_sent: Whether people have got a notice about it.
        was_away: Whether the focuser was left away from where it belongs.
        steady_s: Since when all has been well again; `None`: it has not.
    """

    outage: Outage
    since_s: float
    is_sent: bool
    was_away: bool
    steady_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldRun:
    """A notice about a run, held back until the polls show whether the run has failed with a device.

    Attributes:
        since_s: When the run ended.
        silent: Names of required devices that did not answer since then.
    """

    notice: Notice
    since_s: float
    silent: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeLog:
    """The notices so far, and what they depend on.

    Attributes:
        silent_since_s: Since when each device that is silent now has been.
        losses: The outages that have lasted, by server or device.
        reported_s: When the loss of each device was last sent.
        sent_s: When any other notice was last sent, by kind and subject.
        held: The notice about the last run, while it is held back.
        runs_ended: The count in the previous situation; `None`: there was none.
        position_problem: That of the previous situation.
    """

    silent_since_s: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    losses: Mapping[str, Loss] = field(default_factory=lambda: MappingProxyType({}))
    reported_s: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    sent_s: Mapping[tuple[Kind, str], float] = field(default_factory=lambda: MappingProxyType({}))
    held: HeldRun | None = None
    runs_ended: int | None = None
    position_problem: str = ""


def new_notices(
    log: NoticeLog, now: Situation, *, now_s: float, repeat_s: float
) -> tuple[NoticeLog, tuple[Notice, ...]]:
    """Return the new notices, and the log with them; those with `is_repeat` are for the report of the night only.

    One failure is one notice (decision 0031). A server or device is lost when it has been silent for `LOST_AFTER_S` at
    night; a run that failed with it, the focuser's return and a missing temperature are part of that. One that was lost
    before in the same night is sent again only after `repeat_s` of silence. Any other notice of the same kind about the
    same subject is sent once in `repeat_s`. `now_s` is the time on a clock that never jumps.
    """
    log = _with_run(_with_silence(log, now, now_s), now, now_s)
    log, notices = _losses(log, now, now_s, repeat_s)
    log, returns = _returns(log, now, now_s)
    log, others = _others(log, now, now_s, repeat_s)
    return log, (*notices, *returns, *others)


def _with_silence(log: NoticeLog, now: Situation, now_s: float) -> NoticeLog:
    """Return the log with the devices that are silent now."""
    outages = now.outages
    is_masked = any(TEMPERATURE_SOURCES & each.kinds for each in (*outages, *_open(log)) if each.about != THERMOMETER)
    since_s = {name: log.silent_since_s.get(name, now_s) for each in outages for name in each.names}
    if is_masked and THERMOMETER in since_s:
        # The temperature is missing with the device that gives it, which is no second failure.
        since_s[THERMOMETER] = now_s
    return replace(log, silent_since_s=MappingProxyType(since_s))


def _with_run(log: NoticeLog, now: Situation, now_s: float) -> NoticeLog:
    """Return the log with the notice held back about a run that has just ended."""
    held = log.held
    if now.run is not None and log.runs_ended is not None and now.runs_ended > log.runs_ended:
        # A good run also settles what an earlier one has left.
        notice = run_notice(now.run, now.belongs_at)
        held = None if notice is None else HeldRun(notice=notice, since_s=now_s)
    if held is not None:
        silent = {each.name for each in now.devices if not each.answers and each.kind in REQUIRED}
        held = replace(held, silent=held.silent | silent)
    return replace(log, held=held, runs_ended=now.runs_ended)


def _losses(log: NoticeLog, now: Situation, now_s: float, repeat_s: float) -> tuple[NoticeLog, tuple[Notice, ...]]:
    notices: list[Notice] = []
    losses, reported_s, held = dict(log.losses), dict(log.reported_s), log.held
    for outage in now.outages:
        loss, names = losses.get(outage.about), outage.names
        since_s = min(log.silent_since_s[name] for name in names) if loss is None else loss.since_s
        # While the devices of a session are connected anew, a server that is lost stays lost.
        is_known = loss is not None or (outage.about == OBSERVATORY and bool(losses))
        if now.daylight or now_s - since_s < LOST_AFTER_S or (is_known and (loss is None or loss.is_sent)):
            if loss is not None:
                # Devices that follow the others of their server belong to the same loss.
                losses[outage.about] = replace(loss, outage=max(loss.outage, outage, key=lambda each: len(each.names)))
                reported_s |= dict.fromkeys(names - reported_s.keys(), now_s)
            continue
        is_repeat = all(now_s - reported_s.get(name, -NIGHT_S) < NIGHT_S for name in names)
        is_sent = not is_repeat or now_s - since_s >= repeat_s
        if loss is not None and not is_sent:
            continue
        run = held.notice if held is not None and outage.kinds & REQUIRED else None
        was_away = now.belongs_at is not None and bool(outage.kinds & REQUIRED)
        notice = loss_notice(outage, run, now.belongs_at if was_away else None)
        notices.append(replace(notice, is_repeat=not is_sent))
        held = held if run is None else None
        losses[outage.about] = Loss(outage=outage, since_s=since_s, is_sent=is_sent, was_away=was_away)
        if is_sent:
            reported_s |= dict.fromkeys(names, now_s)
    log = replace(log, losses=MappingProxyType(losses), reported_s=MappingProxyType(reported_s), held=held)
    return log, tuple(notices)


def _returns(log: NoticeLog, now: Situation, now_s: float) -> tuple[NoticeLog, tuple[Notice, ...]]:
    notices: list[Notice] = []
    losses: dict[str, Loss] = {}
    silent = {each.about for each in now.outages}
    for about, loss in log.losses.items():
        is_away = loss.was_away and now.belongs_at is not None
        is_unknown = bool(now.waits_for) and about != OBSERVATORY
        if is_away or is_unknown or about in silent:
            losses[about] = replace(loss, steady_s=None)
        elif loss.steady_s is None:
            losses[about] = replace(loss, steady_s=now_s)
        elif now_s - loss.steady_s < LOST_AFTER_S:
            losses[about] = loss
        else:
            lasted_s, problem = loss.steady_s - loss.since_s, now.position_problem
            notice = return_notice(loss.outage, lasted_s, position_problem=problem, was_away=loss.was_away)
            notices.append(replace(notice, is_repeat=not loss.is_sent))
    return replace(log, losses=MappingProxyType(losses)), tuple(notices)


def _others(log: NoticeLog, now: Situation, now_s: float, repeat_s: float) -> tuple[NoticeLog, tuple[Notice, ...]]:
    held, found, is_known = log.held, [], False
    silent = {each.name for each in now.devices if not each.answers and each.kind in REQUIRED}
    is_out = bool(silent) or any(each.kinds & REQUIRED for each in _open(log))
    if now.position_problem not in {"", log.position_problem} and not now.daylight and not is_out:
        # This also covers how a run ended that was cut off.
        is_known = held is not None and _is_known(log, held.silent, now_s)
        found, held = [position_notice(now.position_problem)], None
    elif held is not None and not silent and now_s - held.since_s >= LOST_AFTER_S:
        is_known = _is_known(log, held.silent, now_s)
        found, held = [held.notice], None
    sent_s, notices = dict(log.sent_s), []
    for each in found:
        key = (each.kind, each.about)
        is_repeat = is_known or now_s - sent_s.get(key, -repeat_s) < repeat_s
        notices.append(replace(each, is_repeat=is_repeat))
        if not is_repeat:
            sent_s[key] = now_s
    position_problem = log.position_problem if now.waits_for else now.position_problem
    log = replace(log, held=held, sent_s=MappingProxyType(sent_s), position_problem=position_problem)
    return log, tuple(notices)


def _open(log: NoticeLog) -> tuple[Outage, ...]:
    return tuple(each.outage for each in log.losses.values())


def _is_known(log: NoticeLog, names: frozenset[str], now_s: float) -> bool:
    """Return whether the loss of devices, at least one, was sent in this night."""
    return bool(names) and all(now_s - log.reported_s.get(name, -NIGHT_S) < NIGHT_S for name in names)
