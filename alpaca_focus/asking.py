"""The questions of `alpaca-focus init`, and who answers them: options, devices, defaults, or a person."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic import ValidationError

from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.core.found import FoundMount, FoundObservatory
from alpaca_focus.settings.first_file import WAYS, Answers
from alpaca_focus.settings.models import Backlash, Camera, Focus, Focuser, Storage, Telescope
from alpaca_focus.settings.section import Section

USUAL_DIRECTORY = "~/.local/state/alpaca-focus"


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What was given along with the command; `None`: nothing.

    Attributes:
        address: "host:port" of the server.
        camera: Number of the camera.
        focuser: Number of the focuser.
        values: Answers by the names of `QUESTIONS`.
    """

    address: str | None = None
    camera: int | None = None
    focuser: int | None = None
    values: dict[str, Any] = field(default_factory=dict)


class Person(Protocol):
    """Whoever answers: a person at a terminal, or nobody."""

    @property
    def is_there(self) -> bool:
        """Whether questions can be asked."""
        ...

    def tell(self, line: str) -> None:
        """Say something."""
        ...

    def answer(self, question: str, default: str | None) -> str:
        """Ask; an empty answer is the default, if there is one."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Something that no device says.

    Attributes:
        name: Of the answer.
        what: What it is, for a message.
        text: What is asked.
        option: The option that gives it.
        section: Where it belongs in the settings; `None`: to no setting of just this value.
        setting: Its name there.
        read: From what was typed to the value.
        default: What it is without an answer; `None`: it has to be said.
    """

    name: str
    what: str
    text: str
    option: str
    section: type[Section] | None
    setting: str
    read: Callable[[str], Any]
    default: Any = None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number: write it as in 480 or 0.34") from None


def _steps(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a whole number of steps") from None


def _way_trouble(way: str) -> str:
    return "" if way in WAYS else f"{way!r} is none of {', '.join(WAYS)}"


QUESTIONS = (
    Question(
        name="name",
        what="the name of the telescope",
        text="Name of the telescope",
        option="--name TEXT",
        section=Telescope,
        setting="name",
        read=str,
        default="telescope",
    ),
    Question(
        name="focal_length_mm",
        what="the focal length",
        text="Focal length in mm, with reducer or extender",
        option="--focal-length MM",
        section=Telescope,
        setting="focal_length_mm",
        read=_number,
    ),
    Question(
        name="aperture_mm",
        what="the aperture",
        text="Aperture in mm",
        option="--aperture MM",
        section=Telescope,
        setting="aperture_mm",
        read=_number,
    ),
    Question(
        name="central_obstruction",
        what="the central obstruction",
        text="Central obstruction as a fraction of the aperture's diameter, as in 0.34; 0 for a refractor",
        option="--central-obstruction FRACTION",
        section=Telescope,
        setting="central_obstruction",
        read=_number,
        default=0.0,
    ),
    Question(
        name="pixel_size_um",
        what="the size of the camera's pixels",
        text="Side of the camera's pixels in micrometres, which it does not say",
        option="--pixel-size UM",
        section=Camera,
        setting="pixel_size_um",
        read=_number,
    ),
    Question(
        name="step_size_um",
        what="the travel of one step of the focuser",
        text="Travel of one step of the focuser in micrometres, which it does not say",
        option="--step-size UM",
        section=Focuser,
        setting="step_size_um",
        read=_number,
    ),
    Question(
        name="backlash_steps",
        what="the backlash",
        text="Backlash of the focuser in steps; 0: not known, `alpaca-focus calibrate backlash` will measure it",
        option="--backlash STEPS",
        section=Backlash,
        setting="steps",
        read=_steps,
        default=0,
    ),
    Question(
        name="exposure_s",
        what="the exposure",
        text="Exposure of a focus frame in seconds",
        option="--exposure S",
        section=Focus,
        setting="exposure_s",
        read=_number,
        default=3.0,
    ),
    Question(
        name="way",
        what="the imaging program",
        text="Imaging program at the same camera: watch (it is only watched), gateway (it works through alpaca-focus), "
        "told (its scripts tell), or none",
        option="--way WAY",
        section=None,
        setting="",
        read=str.lower,
        default="watch",
    ),
    Question(
        name="directory",
        what="the folder of the runs",
        text="Folder to keep the runs in",
        option="--storage DIR",
        section=Storage,
        setting="directory",
        read=str,
        default=USUAL_DIRECTORY,
    ),
)


def trouble(question: Question, value: Any, others: dict[str, Any]) -> str:
    """Return why a value cannot be, next to the others of its section; empty: it can."""
    if question.section is None:
        return _way_trouble(value)
    fixed = {"method": "none"} if question.section is Backlash else {}
    mates = {q.setting: others[q.name] for q in QUESTIONS if q.section is question.section and q.name in others}
    try:
        question.section.model_validate({**fixed, **mates, question.setting: value})
    except ValidationError as error:
        for each in error.errors():
            if each["loc"] == (question.setting,) and each["type"] != "missing":
                return str(each["msg"]).removeprefix("Value error, ")
    return ""


def answered(found: FoundObservatory, given: Given, person: Person) -> Answers:
    """Take the answers from what was given, what the devices say and the defaults, and ask for the rest.

    Raises:
        ConfigurationError: A given value cannot be, or something is missing and nobody is there to ask.
    """
    asked = [each for each in QUESTIONS if not _is_told(each.name, found)]
    values: dict[str, Any] = dict.fromkeys(each.name for each in QUESTIONS if each not in asked)
    values |= {name: value for name, value in given.values.items() if value is not None}
    for question in QUESTIONS:
        if values.get(question.name) is not None:
            _check_given(question, values)
    missing = [each for each in asked if values.get(each.name) is None and _known(each, found, values) is None]
    if missing and not person.is_there:
        raise ConfigurationError(
            f"{_listed([each.what for each in missing]).capitalize()} must be said: add "
            f"{_listed([each.option for each in missing])}."
        )
    for question in asked:
        if values.get(question.name) is None:
            values[question.name] = _answer(question, found, values, person)
    return Answers(**values)


def _is_told(name: str, found: FoundObservatory) -> bool:
    """Tell whether the settings leave something to the device, because it says it itself."""
    told = {"pixel_size_um": found.camera.pixel_size_um, "step_size_um": found.focuser.step_size_um}
    return told.get(name) is not None


def _known(question: Question, found: FoundObservatory, values: dict[str, Any]) -> Any:
    """Return what the mount says, if it fits the rest, or else the default."""
    told = _of_mount(found.mount, question.name)
    others = {name: value for name, value in values.items() if value is not None}
    return told if told is not None and not trouble(question, told, others) else question.default


def _of_mount(mount: FoundMount | None, name: str) -> float | None:
    return (
        None
        if mount is None
        else {"focal_length_mm": mount.focal_length_mm, "aperture_mm": mount.aperture_mm}.get(name)
    )


def _check_given(question: Question, values: dict[str, Any]) -> None:
    value = values[question.name]
    others = {name: each for name, each in values.items() if each is not None}
    reason = trouble(question, value, others)
    if reason:
        raise ConfigurationError(f"{question.option.partition(' ')[0]} {value}: {reason}.")


def _answer(question: Question, found: FoundObservatory, values: dict[str, Any], person: Person) -> Any:
    known = _known(question, found, values)
    if known is not None and (not person.is_there or known != question.default):
        return known
    default = None if known is None else f"{known:g}" if isinstance(known, float) else str(known)
    others = {name: value for name, value in values.items() if value is not None}
    while True:
        text = person.answer(question.text, default)
        try:
            value = question.read(text)
            reason = trouble(question, value, others)
        except ValueError as error:
            reason = str(error)
        else:
            if not reason:
                return value
        person.tell(f"  {reason}.")


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
