"""The questions of `alpaca-focus init`, answered by options, devices, defaults or a person."""

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

DEFAULT_DIRECTORY = "~/.local/state/alpaca-focus"


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """The command's options, `None` if left out: numbers of devices by section, and answers by names of `QUESTIONS`."""

    address: str | None = None
    numbers: Mapping[str, int | None] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)


class Person(Protocol):
    """A person at the terminal, if there is one."""

    @property
    def is_there(self) -> bool:
        """Whether a person can answer questions."""

    def echo(self, line: str) -> None:
        """Print a line."""

    def answer(self, question: str, default: str | None) -> str:
        """Ask a question and return the answer; an empty one is the default, if there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question for something that a device may not report.

    Attributes:
        name: Field of `Answers`.
        what: Its name in messages.
        option: The option that answers it.
        setting: Dotted name in the settings; empty if it is more than one setting.
        read: Parses the typed answer.
        default: `None` if an answer is required.
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
        text="Side of the camera's pixels in micrometres (it does not report it)",
        option="--pixel-size UM",
        setting="camera.pixel_size_um",
        read=_number,
    ),
    Question(
        name="step_size_um",
        what="the travel of one step of the focuser",
        text="Travel of one step of the focuser in micrometres (it does not report it)",
        option="--step-size UM",
        setting="focuser.step_size_um",
        read=_number,
    ),
    Question(
        name="backlash_steps",
        what="the backlash",
        text="Backlash of the focuser in steps; 0 if unknown: `alpaca-focus calibrate backlash` measures it",
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
        text="Imaging program at the same camera: watch (poll the camera), gateway (it works through alpaca-focus), "
        "told (its scripts report exposures), or none",
        option="--way WAY",
        setting="",
        read=str.lower,
        default="watch",
    ),
    Question(
        name="directory",
        what="the folder of the runs",
        text="Folder in which to save the runs; a relative path starts from that of the settings file",
        option="--storage DIR",
        setting="storage.directory",
        read=str,
        default=DEFAULT_DIRECTORY,
    ),
)


def problem_of(question: Question, value: Any, others: Mapping[str, Any]) -> str:
    """Return why a value is invalid, given the other answers; empty if it is valid."""
    if not question.setting:
        return "" if value in WAYS else f"{value!r} is none of {', '.join(WAYS)}"
    known = {each.setting: others[each.name] for each in QUESTIONS if each.setting and each.name in others}
    known[question.setting] = value
    # A method of compensation needs steps, which may not be answered yet.
    text = yaml_of({"focuser.backlash.method": "none", **known})
    try:
        parse_yaml(text, Settings, source=question.what)
    except SettingsError as error:
        return next((each.message for each in error.problems if dotted(each.path) in known), "")
    return ""


def check_given(given: Given) -> None:
    """Check the given values before any device is connected.

    Raises:
        ConfigurationError: One is invalid.
    """
    seen: dict[str, Any] = {}
    for question in QUESTIONS:
        value = given.values.get(question.name)
        if value is None:
            continue
        if reason := problem_of(question, value, seen):
            raise ConfigurationError(f"{question.option.partition(' ')[0]} {value}: {reason}.")
        seen[question.name] = value


def collect_answers(observatory: DiscoveredObservatory, given: Given, person: Person) -> Answers:
    """Take the answers from what was given, what the devices report and the defaults, and ask for the rest.

    Raises:
        ConfigurationError: Something is missing and there is no person to ask.
    """
    values = {name: value for name, value in given.values.items() if value is not None}
    open_questions = [
        each for each in QUESTIONS if each.name not in values and not _is_reported(each.name, observatory)
    ]
    missing = [each for each in open_questions if _proposed(each, observatory, values) is None]
    if missing and not person.is_there:
        raise ConfigurationError(
            f"There is no value for {_listed([each.what for each in missing])}. Add "
            f"{_listed([each.option for each in missing])}."
        )
    for question in open_questions:
        values[question.name] = _answer(question, observatory, values, person)
    return Answers(**values)


def _is_reported(name: str, observatory: DiscoveredObservatory) -> bool:
    """Return whether a device reports this value, so that the settings need not."""
    reported = {"pixel_size_um": observatory.camera.pixel_size_um, "step_size_um": observatory.focuser.step_size_um}
    return reported.get(name) is not None


def _proposed(question: Question, observatory: DiscoveredObservatory, values: Mapping[str, Any]) -> Any:
    """Return the value that the mount reports, if it is valid, or else the default."""
    mount = observatory.mount
    reported = {} if mount is None else {"focal_length_mm": mount.focal_length_mm, "aperture_mm": mount.aperture_mm}
    value = reported.get(question.name)
    return question.default if value is None or problem_of(question, value, values) else value


def _answer(question: Question, observatory: DiscoveredObservatory, values: Mapping[str, Any], person: Person) -> Any:
    proposed = _proposed(question, observatory, values)
    if not person.is_there or proposed != question.default:
        return proposed
    default = None if proposed is None else f"{proposed:g}" if isinstance(proposed, float) else str(proposed)
    while True:
        try:
            value = question.read(person.answer(question.text, default))
            reason = problem_of(question, value, values)
        except ValueError as error:
            reason = str(error)
        else:
            if not reason:
                return value
        person.echo(f"  {reason}.")


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
