"""What runs besides the devices: our own daemon, the broker, the services of messages, the ports. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from alpaca_focus.checkup.checks import Check, Subject


class Holder(Enum):
    """Who has the devices."""

    NOBODY = "nobody"
    DAEMON = "daemon"
    COMMAND = "command"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonFacts:
    """Whether another alpaca-focus has the devices.

    Attributes:
        holder: Who has them.
        state: What the daemon says of itself.
        trouble: Why it is not known, or why the daemon does not answer; empty: no trouble.
        directory: The storage.directory; empty: none.
    """

    holder: Holder
    state: str = ""
    trouble: str = ""
    directory: str = ""

    @property
    def why_gently(self) -> str:
        """Why the devices are only looked at, as a clause; empty: they need not be."""
        match self.holder:
            case Holder.NOBODY:
                return ""
            case Holder.DAEMON:
                return "the daemon has the devices: they are only looked at"
            case Holder.COMMAND:
                return "another command of alpaca-focus has the devices: they are only looked at"
            case Holder.UNKNOWN:
                return "nobody knows whether a daemon has the devices: they are only looked at"


def judge_daemon(facts: DaemonFacts) -> Check:
    """Judge whether a daemon runs, and what it does."""
    subject = Subject("daemon")
    match facts.holder:
        case Holder.NOBODY if not facts.directory:
            return subject.ok("state", "none can run without a storage.directory")
        case Holder.NOBODY:
            return subject.ok("state", f"none runs with {facts.directory}")
        case Holder.DAEMON if facts.trouble:
            return subject.failed("state", facts.trouble, "Look into its log.")
        case Holder.DAEMON:
            return subject.ok("state", f"runs: {facts.state}. {_capital(facts.why_gently)}")
        case Holder.COMMAND:
            return subject.note("state", facts.why_gently, "Look again when it has ended.")
        case Holder.UNKNOWN:
            return subject.note(
                "state", f"{facts.trouble}; {facts.why_gently}", "Call the doctor as the user that the daemon runs as."
            )


def _capital(clause: str) -> str:
    return clause[:1].upper() + clause[1:]


class PortState(Enum):
    """What became of an attempt to listen."""

    FREE = "free"
    TAKEN = "taken"
    NO_ADDRESS = "no such address here"
    FORBIDDEN = "forbidden"


def judge_port(subject: Subject, setting: str, place: str, state: PortState, *, daemon_runs: bool) -> Check:
    """Judge whether the daemon can listen somewhere.

    Args:
        subject: Of the check.
        setting: Section of the settings: "web", "gateway".
        place: Address and port.
        state: What became of an attempt.
        daemon_runs: Whether the daemon of these settings runs.
    """
    match state:
        case PortState.FREE if daemon_runs:
            return subject.note(
                "port", f"{place} is free, although the daemon runs", "Look into its log: why does it not listen there?"
            )
        case PortState.FREE:
            return subject.ok("port", f"{place} is free")
        case PortState.TAKEN if daemon_runs:
            return subject.ok("port", f"{place} is in use, as it should be while the daemon runs")
        case PortState.TAKEN:
            return subject.fails(
                "port",
                f"another program listens at {place} already",
                f"End that one, or choose another {setting}.port.",
            )
        case PortState.NO_ADDRESS:
            return subject.fails(
                "port", f"{place} is no address of this computer", f"Correct {setting}.listen: `ip address` shows them."
            )
        case PortState.FORBIDDEN:
            return subject.fails("port", f"this user may not listen at {place}", f"Choose a {setting}.port above 1023.")


def judge_services(known: Sequence[tuple[str, bool]]) -> Check:
    """Judge whether Apprise understands the services of messages; nothing is sent.

    Args:
        known: For each service what to call it, and whether it is understood.
    """
    subject = Subject("messages")
    strange = [name for name, is_known in known if not is_known]
    if not known:
        return subject.note(
            "services", "none is named, and no message is sent", "Set messages.services or messages.services_file."
        )
    if strange:
        return subject.fails(
            "services",
            f"Apprise does not understand: {', '.join(strange)}",
            "Look at the beginning of its URL, and at the list of Apprise's services.",
        )
    return subject.ok("services", f"{', '.join(name for name, _ in known)}; `alpaca-focus notify-test` sends a message")


def judge_broker(place: str, trouble: str, *, user: str | None) -> Check:
    """Judge an MQTT broker.

    Args:
        place: Of the broker.
        trouble: Why it cannot be used, a sentence with what to do; empty: it can.
        user: Name that was given; `None`: none.
    """
    subject = Subject("mqtt")
    if trouble:
        return subject.failed("broker", trouble)
    as_user = "without a user name" if user is None else f"as {user}"
    return subject.ok("broker", f"{place} has accepted the connection, {as_user}")
