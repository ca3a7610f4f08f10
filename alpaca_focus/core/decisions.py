"""From a look at the observatory to what is done about it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from alpaca_focus.core.inhibitors import EXPOSING, Rules, inhibitors
from alpaca_focus.core.night import History, Snapshot
from alpaca_focus.core.status import Verdict
from alpaca_focus.core.triggers import Trigger


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is due, and what keeps it waiting.

    Attributes:
        verdicts: What each trigger says.
        blocked_by: Why nothing may be done just now, due or not.
    """

    verdicts: tuple[Verdict, ...]
    blocked_by: tuple[str, ...]

    @property
    def due(self) -> tuple[Verdict, ...]:
        """The triggers that want a refocus."""
        return tuple(each for each in self.verdicts if each.due)

    @property
    def refocus(self) -> bool:
        """Whether to refocus now."""
        return bool(self.due) and not self.blocked_by

    @property
    def reason(self) -> str:
        """What is due, as one clause."""
        return "; ".join(each.reason for each in self.due)

    @property
    def triggers(self) -> str:
        """Names of the triggers that are due."""
        return ", ".join(each.trigger for each in self.due)


def decided(
    history: History, snapshot: Snapshot, triggers: Sequence[Trigger], rules: Rules, *, paused: bool
) -> Decision:
    """Ask all triggers, and what speaks against acting."""
    return Decision(
        verdicts=tuple(trigger(history) for trigger in triggers),
        blocked_by=inhibitors(history, snapshot, rules, paused=paused),
    )


def with_ignored(history: History, decision: Decision) -> History:
    """Count for what reasons a due refocus waits: once for each spell, not for each look."""
    blocked_by = decision.blocked_by if decision.due else ()
    ignored = dict(history.ignored)
    for reason in blocked_by:
        if reason not in history.blocked_by:
            ignored[reason] = ignored.get(reason, 0) + 1
    return replace(history, blocked_by=blocked_by, ignored=MappingProxyType(ignored))


def with_squeeze(history: History, snapshot: Snapshot, decision: Decision) -> History:
    """Take note of whether a due refocus waits for a gap that does not come."""
    waits = bool(decision.due) and decision.blocked_by == (EXPOSING,)
    return replace(history, squeeze=history.squeeze.looked(waits=waits, exposures=snapshot.exposures))
