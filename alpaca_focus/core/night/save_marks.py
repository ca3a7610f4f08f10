"""Marks on the fields of the night's state: which changes are saved at once, and which values the next night keeps.

A field without a mark is written with the whole state about once a minute. An unmarked field that is a dataclass is
searched for marked fields.
"""

from collections.abc import Callable
from dataclasses import Field, dataclass, fields, is_dataclass
from operator import gt, lt, ne
from typing import Annotated, Any, TypeAlias, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SaveMark:
    """Which changes of a field must be on disk before anything further is done.

    Attributes:
        save_if: Called with the new and the old value; returns whether the change must be saved at once.
        across_nights: Whether the next night starts with the value, too.
    """

    save_if: Callable[[Any, Any], bool]
    across_nights: bool = False


AtOnce: TypeAlias = Annotated[T, SaveMark(ne)]
"""Saved at every change."""
AtOnceIfRaised: TypeAlias = Annotated[T, SaveMark(gt)]
"""For a countdown, which falls as time passes: only setting it is saved at once."""
AtOnceIfLowered: TypeAlias = Annotated[T, SaveMark(lt)]
"""For seconds since an event, which rise as time passes: only their reset is saved at once."""
AcrossNights: TypeAlias = Annotated[T, SaveMark(ne, across_nights=True)]
"""Saved at every change, and kept by the next night."""


def must_save(before: object, after: object) -> bool:
    """Return whether a marked field has a change that must be saved at once."""
    if before is after or type(before) is not type(after) or not is_dataclass(after):
        return False
    for each in fields(after):
        mark, old, new = _mark(each), getattr(before, each.name), getattr(after, each.name)
        if mark.save_if(new, old) if mark else must_save(old, new):
            return True
    return False


def kept_across_nights(state: Any) -> dict[str, Any]:
    """Return the fields of a dataclass that the next night starts with, by name."""
    kept = ((each.name, _mark(each)) for each in fields(state))
    return {name: getattr(state, name) for name, mark in kept if mark and mark.across_nights}


def _mark(field: Field[Any]) -> SaveMark | None:
    return next((each for each in getattr(field.type, "__metadata__", ()) if isinstance(each, SaveMark)), None)
