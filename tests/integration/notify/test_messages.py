"""Messages through Apprise to a service over real HTTP."""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs
from structlog.typing import EventDict

from alpaca_focus.core.night.notices import Kind
from alpaca_focus.notify import messages
from alpaca_focus.notify.messages import Message, Messenger, Service
from tests.web_hook import WebHook

HELLO = Message(title="A refocus failed", text="No stars were found.", kind=Kind.FOCUS_FAILED)


@pytest.fixture
def hook() -> Iterator[WebHook]:
    with WebHook() as hook:
        yield hook


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[EventDict]]:
    monkeypatch.setattr(messages, "_log", structlog.get_logger())
    with capture_logs() as told:
        yield told


def opened(*urls: str) -> Messenger:
    return Messenger([Service(url, number) for number, url in enumerate(urls, start=1)])


def test_a_message_arrives_with_its_file(hook: WebHook) -> None:
    def draw(folder: Path) -> Path:
        picture = folder / "curve.png"
        picture.write_bytes(b"a picture")
        return picture

    messenger = opened(hook.url)
    messenger.enqueue(Message(title="A refocus failed", text="No stars.", kind=Kind.FOCUS_FAILED, attachment=draw))
    (told,) = hook.messages(1)
    messenger.close()
    assert (told["title"], told["message"], told["type"]) == ("A refocus failed", "No stars.", "failure")
    (attached,) = told["attachments"]
    assert attached["filename"] == "curve.png"
    assert base64.b64decode(attached["base64"]) == b"a picture"


def test_a_message_is_sent_without_a_picture_that_cannot_be_drawn(hook: WebHook, log: list[EventDict]) -> None:
    def fail(_folder: Path) -> Path:
        raise OSError("the disk is full")

    messenger = opened(hook.url)
    messenger.enqueue(Message(title="A refocus failed", text="No stars.", attachment=fail))
    (told,) = hook.messages(1)
    messenger.close()
    assert told["attachments"] == []
    assert [line["event"] for line in log] == ["Message sent without its picture"]


def test_a_refusing_service_is_logged_once_without_its_secret(hook: WebHook, log: list[EventDict]) -> None:
    messenger = opened(hook.url)
    hook.status = 403
    assert list(messenger.send(HELLO)) == ["service 1 (JSON)"]
    messenger.send(HELLO)
    hook.status = 200
    assert messenger.send(HELLO) == {"service 1 (JSON)": ""}
    messenger.close()
    assert [line["event"] for line in log] == ["Message not sent", "Messages are sent again"]
    assert all(secret not in str(log) for secret in ("hunter2", "secret-path"))


def test_one_failing_service_does_not_stop_the_others(hook: WebHook, log: list[EventDict]) -> None:
    messenger = opened("no-such-service://abcdef", "json://127.0.0.1:9/", hook.url)
    said = messenger.send(HELLO)
    messenger.close()
    assert [bool(why) for why in said.values()] == [True, True, False]
    assert said["service 1"].startswith("Apprise does not support this URL")
    assert len(hook.told) == 1
    assert "abcdef" not in str(log)


def test_a_hanging_service_delays_nobody(hook: WebHook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "SEND_TIMEOUT_S", 1.0)
    hook.lets_go.clear()
    with WebHook() as other:
        messenger = opened(hook.url, other.url)
        first, second = messenger.send(HELLO), messenger.send(HELLO)
        assert list(first.values()) == ["The service has not answered within 1 s.", ""]
        assert list(second.values()) == ["The service still hangs on an earlier message.", ""]
        messenger.close()
    hook.lets_go.set()
    hook.messages(1)


def test_too_many_messages_are_refused_and_logged(hook: WebHook, log: list[EventDict]) -> None:
    hook.lets_go.clear()
    messenger = opened(hook.url)
    for _ in range(messages.MOST_WAITING + 2):
        messenger.enqueue(HELLO)
    assert {line["event"] for line in log} == {
        "Message not sent: too many messages wait for services that do not answer"
    }
    hook.lets_go.set()
    hook.messages(messages.MOST_WAITING)
    messenger.close()


def test_a_failure_inside_the_library_is_reported_by_its_kind(hook: WebHook, monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service(hook.url, 1)

    def fail(**_: object) -> bool:
        raise KeyError(f"{hook.url}?secret")

    monkeypatch.setattr(service._plugin, "notify", fail)
    why = service.send(HELLO, None)
    assert "(KeyError)" in why
    assert "secret?" not in why
    assert hook.url not in why
