"""The filter wheel: its filters, and whether the settings name them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from alpaca_focus.devices.connection import Connection
from alpaca_focus.devices.filter_wheel import AlpacaFilterWheel
from alpaca_focus.doctor.checks import Check, Subject
from alpaca_focus.doctor.probe_context import ProbeContext
from alpaca_focus.settings.models import Settings

_WHEEL = Subject("filter wheel")


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelFacts:
    """A filter wheel, its current slot (`None` while it turns), and the filters that sections of the settings name."""

    names: Sequence[str]
    slot: int | None
    requested: Mapping[str, Sequence[str]]


async def probe_wheel(context: ProbeContext) -> None:
    """Probe the filter wheel without turning it."""

    async def read(_: Connection) -> None:
        async with context.connected("filter_wheel", AlpacaFilterWheel) as wheel:
            requested = _requested_filters(context.settings)
            facts = WheelFacts(names=wheel.names, slot=await wheel.slot(), requested=requested)
        context.add(*check_wheel(facts))

    await context.probe_device("filter_wheel", read)


def _requested_filters(settings: Settings) -> dict[str, list[str]]:
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


def check_wheel(facts: WheelFacts) -> tuple[Check, ...]:
    """Check a filter wheel."""
    return _names(facts), _slot(facts)


def _names(facts: WheelFacts) -> Check:
    names = ", ".join(facts.names)
    if not facts.names or not all(name.strip() for name in facts.names):
        seen = f"filters without names: {names or 'none'}"
        return _WHEEL.fails("names", seen, "Name the filters in the wheel's server.")
    twice = [name for name, count in Counter(facts.names).items() if count > 1]
    if twice:
        seen = f"{names}: {', '.join(twice)} occurs twice"
        return _WHEEL.fails("names", seen, "Give each filter a name of its own in the wheel's server.")
    for section, requested in facts.requested.items():
        missing = [name for name in requested if name not in facts.names]
        if missing:
            remedy = f"Write the names in {section} exactly as the wheel does, including capitals."
            return _WHEEL.fails("names", f"{section} names {', '.join(missing)}, and the wheel has {names}", remedy)
    return _WHEEL.ok("names", names)


def _slot(facts: WheelFacts) -> Check:
    if facts.slot is None or facts.slot >= len(facts.names):
        seen = "it is turning, or does not know its position"
        return _WHEEL.note("position", seen, "Wait, and run the doctor again.")
    return _WHEEL.ok("position", f"slot {facts.slot}: {facts.names[facts.slot]} is the current filter")
