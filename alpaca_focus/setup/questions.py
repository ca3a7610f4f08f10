"""The questions of `alpaca-focus init`, and who answers them: options, devices, defaults, or a person."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from alpaca_focus.core.discovered import DiscoveredObservatory
from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.settings.loader import parse_yaml
from alpaca_focus.settings.models import Settings
from alpaca_focus.settings.problems import SettingsError, dotted
from alpaca_focus.settings.yaml_writer import yaml_of
from alpaca_focus.setup.first_devices import WAYS, Answers

USUAL_DIRECTORY = "~/.local/state/alpaca-focus"


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What was given along with the command; `None`: nothing.

    Attributes:
        address: "host:port" of the server.
        numbers: Numbers of the camera and the focuser, by section of the settings.
        values: Answers by the names of `QUESTIONS`.
    """

    address: str | None = None
    numbers: Mapping[str, int | None] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)


class Person(Protocol):
    """The person who answers, if one is at a terminal."""

    @property
    def is_there(self) -> bool:
        """Whether questions can be asked."""
        ...

    def tell(self, line: str) -> None:
        """Show a line."""
        ...

    def answer(self, question: str, default: str | None) -> str:
        """Ask; an empty answer is the default, if there is one."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question for something that no device reports.

    Attributes:
        name: Of the answer.
        what: What it is, for a message.
        text: What is asked.
        option: The option that gives it.
        setting: Its dotted name in the settings; empty: it is more than one setting.
        read: From what was typed to the value.
        default: What it is without an answer; `None`: an answer is required.
    """

    name: str
    what: str
    text: str
    option: str
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


QUESTIONS = (
    Question(
        name="name",
        what="the name of the telescope",
        text="Name of the telescope",
        option="--name TEXT",
        setting="telescope.name",
        read=str,
        default="telescope",
    ),
    Question(
        name="focal_length_mm",
        what="the focal length",
        text="Focal length in mm, with reducer or extender",
        option="--focal-length MM",
        setting="telescope.focal_length_mm",
        read=_number,
    ),
    Question(
        name="aperture_mm",
        what="the aperture",
        text="Aperture in mm",
        option="--aperture MM",
        setting="telescope.aperture_mm",
        read=_number,
    ),
    Question(
        name="central_obstruction",
        what="the central obstruction",
        text="Central obstruction as a fraction of the aperture's diameter, as in 0.34; 0 for a refractor",
        option="--central-obstruction FRACTION",
        setting="telescope.central_obstruction",
        read=_number,
        default=0.0,
    ),
    Question(
        name="pixel_size_um",
        what="the size of the camera's pixels",
        text="Side of the camera's pixels in micrometres, which it does not say",
        option="--pixel-size UM",
        setting="camera.pixel_size_um",
        read=_number,
    ),
    Question(
        name="step_size_um",
        what="the travel of one step of the focuser",
        text="Travel of one step of the focuser in micrometres, which it does not say",
        option="--step-size UM",
        setting="focuser.step_size_um",
        read=_number,
    ),
    Question(
        name="backlash_steps",
        what="the backlash",
        text="Backlash of the focuser in steps; 0: not known, `alpaca-focus calibrate backlash` will measure it",
        option="--backlash STEPS",
        setting="focuser.backlash.steps",
        read=_steps,
        default=0,
    ),
    Question(
        name="exposure_s",
        what="the exposure",
        text="Exposure of a focus frame in seconds",
        option="--exposure S",
        setting="focus.exposure_s",
        read=_number,
        default=3.0,
    ),
    Question(
        name="way",
        what="the imaging program",
        text="Imaging program at the same camera: watch (it is only watched), gateway (it works through alpaca-focus), "
        "told (its scripts tell), or none",
        option="--way WAY",
        setting="",
        read=str.lower,
        default="watch",
    ),
    Question(
        name="directory",
        what="the folder of the runs",
        text="Folder to keep the runs in",
        option="--storage DIR",
        setting="storage.directory",
        read=str,
        default=USUAL_DIRECTORY,
    ),
)


def trouble(question: Question, value: Any, others: Mapping[str, Any]) -> str:
    """Return why a value cannot be, next to the other answers; empty: it can."""
    if not question.setting:
        return "" if value in WAYS else f"{value!r} is none of {', '.join(WAYS)}"
    known = {each.setting: others[each.name] for each in QUESTIONS if each.setting and each.name in others}
    known[question.setting] = value
    # Without steps there is no backlash to be compensated.
    text = yaml_of({"focuser.backlash.method": "none", **known})
    try:
        parse_yaml(text, Settings, source=question.what)
    except SettingsError as error:
        return next((each.message for each in error.problems if dotted(each.path) in known), "")
    return ""


def check_given(given: Given) -> None:
    """See that the given values can be, before any device is asked.

    Raises:
        ConfigurationError: One cannot.
    """
    seen: dict[str, Any] = {}
    for question in QUESTIONS:
        value = given.values.get(question.name)
        if value is None:
            continue
        if reason := trouble(question, value, seen):
            raise ConfigurationError(f"{question.option.partition(' ')[0]} {value}: {reason}.")
        seen[question.name] = value


def answered(found: DiscoveredObservatory, given: Given, person: Person) -> Answers:
    """Take the answers from what was given, what the devices report and the defaults, and ask for the rest.

    Raises:
        ConfigurationError: Something is missing and there is no person to ask.
    """
    values = {name: value for name, value in given.values.items() if value is not None}
    left = [each for each in QUESTIONS if each.name not in values and not _is_reported(each.name, found)]
    missing = [each for each in left if _known(each, found, values) is None]
    if missing and not person.is_there:
        raise ConfigurationError(
            f"{_listed([each.what for each in missing]).capitalize()} must be said: add "
            f"{_listed([each.option for each in missing])}."
        )
    for question in left:
        values[question.name] = _answer(question, found, values, person)
    return Answers(**values)


def _is_reported(name: str, found: DiscoveredObservatory) -> bool:
    """Return whether the settings leave something to the device, because it reports it."""
    reported = {"pixel_size_um": found.camera.pixel_size_um, "step_size_um": found.focuser.step_size_um}
    return reported.get(name) is not None


def _known(question: Question, found: DiscoveredObservatory, values: Mapping[str, Any]) -> Any:
    """Return what the mount reports, if it fits the rest, or else the default."""
    mount = found.mount
    reported = {} if mount is None else {"focal_length_mm": mount.focal_length_mm, "aperture_mm": mount.aperture_mm}
    value = reported.get(question.name)
    return question.default if value is None or trouble(question, value, values) else value


def _answer(question: Question, found: DiscoveredObservatory, values: Mapping[str, Any], person: Person) -> Any:
    known = _known(question, found, values)
    if not person.is_there or known != question.default:
        return known
    default = None if known is None else f"{known:g}" if isinstance(known, float) else str(known)
    while True:
        try:
            value = question.read(person.answer(question.text, default))
            reason = trouble(question, value, values)
        except ValueError as error:
            reason = str(error)
        else:
            if not reason:
                return value
        person.tell(f"  {reason}.")


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
