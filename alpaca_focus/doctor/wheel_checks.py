"""The filter wheel: its filters, and whether the settings name them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from alpaca_focus.devices.connection import Connection
from alpaca_focus.devices.filter_wheel import AlpacaFilterWheel
from alpaca_focus.doctor.checks import Check, Subject
from alpaca_focus.doctor.examination import Examination
from alpaca_focus.settings.models import Settings

_WHEEL = Subject("filter wheel")


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelFacts:
    """A filter wheel, and the filters that the settings name.

    Attributes:
        names: Of its filters by slot.
        slot: The one in the light; `None`: it turns.
        asked: Names of filters by the section of the settings that has them.
    """

    names: Sequence[str]
    slot: int | None
    asked: Mapping[str, Sequence[str]]


async def probe_wheel(examination: Examination) -> None:
    """Examine the filter wheel; it is not turned."""

    async def read(_: Connection) -> None:
        async with examination.connected("filter_wheel", AlpacaFilterWheel) as wheel:
            facts = WheelFacts(names=wheel.names, slot=await wheel.slot(), asked=_asked_filters(examination.settings))
        examination.add(*judge_wheel(facts))

    await examination.visit("filter_wheel", read)


def _asked_filters(settings: Settings) -> dict[str, list[str]]:
    """Return the filters that the settings name, by section."""
    focus_filters = settings.focus.filters
    through = [each.focus_through for each in focus_filters.values() if each.focus_through is not None]
    offsets = {} if settings.filter_wheel is None else settings.filter_wheel.focus_offsets_steps
    return {
        "focus.filters": [*focus_filters, *through],
        "filter_wheel.focus_offsets_steps": list(offsets),
        "compensation.steps_per_c_through": list(settings.compensation.steps_per_c_through),
    }


# The rules.


def judge_wheel(facts: WheelFacts) -> tuple[Check, ...]:
    """Judge a filter wheel."""
    return _names(facts), _slot(facts)


def _names(facts: WheelFacts) -> Check:
    names = ", ".join(facts.names)
    if not facts.names or not all(name.strip() for name in facts.names):
        return _WHEEL.fails(
            "names", f"filters without names: {names or 'none'}", "Name the filters in the wheel's server."
        )
    twice = [name for name, count in Counter(facts.names).items() if count > 1]
    if twice:
        return _WHEEL.fails(
            "names", f"{names}: {', '.join(twice)} is there twice", "Give each filter a name of its own in its server."
        )
    for where, asked in facts.asked.items():
        missing = [name for name in asked if name not in facts.names]
        if missing:
            return _WHEEL.fails(
                "names",
                f"{where} names {', '.join(missing)}, and the wheel has {names}",
                f"Write the names in {where} as the wheel has them, capitals as well.",
            )
    return _WHEEL.ok("names", names)


def _slot(facts: WheelFacts) -> Check:
    if facts.slot is None or facts.slot >= len(facts.names):
        return _WHEEL.note("position", "it turns, or does not know its position", "Wait, and repeat the checkup.")
    return _WHEEL.ok("position", f"slot {facts.slot}: {facts.names[facts.slot]} is in the light")
