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


def messenger(*urls: str) -> Messenger:
    return Messenger([Service(url, number) for number, url in enumerate(urls, start=1)])


def test_a_message_arrives_with_its_file(hook: WebHook) -> None:
    def draw(folder: Path) -> Path:
        picture = folder / "curve.png"
        picture.write_bytes(b"a picture")
        return picture

    telling = messenger(hook.url)
    telling.tell(Message(title="A refocus failed", text="No stars.", kind=Kind.FOCUS_FAILED, attachment=draw))
    (told,) = hook.messages(1)
    telling.close()
    assert (told["title"], told["message"], told["type"]) == ("A refocus failed", "No stars.", "failure")
    (attached,) = told["attachments"]
    assert attached["filename"] == "curve.png"
    assert base64.b64decode(attached["base64"]) == b"a picture"


def test_a_picture_that_cannot_be_drawn_keeps_no_message_back(hook: WebHook, log: list[EventDict]) -> None:
    def fail(_folder: Path) -> Path:
        raise OSError("the disk is full")

    telling = messenger(hook.url)
    telling.tell(Message(title="A refocus failed", text="No stars.", attachment=fail))
    (told,) = hook.messages(1)
    telling.close()
    assert told["attachments"] == []
    assert [line["event"] for line in log] == ["A message goes without its picture"]


def test_a_service_that_refuses_is_told_once_without_its_secret(hook: WebHook, log: list[EventDict]) -> None:
    telling = messenger(hook.url)
    hook.status = 403
    assert list(telling.send(HELLO)) == ["service 1 (JSON)"]
    telling.send(HELLO)
    hook.status = 200
    assert telling.send(HELLO) == {"service 1 (JSON)": ""}
    telling.close()
    assert [line["event"] for line in log] == ["A message did not go", "Messages go again"]
    assert all(secret not in str(log) for secret in ("hunter2", "secret-path"))


def test_the_others_are_told_all_the_same(hook: WebHook, log: list[EventDict]) -> None:
    telling = messenger("no-such-service://abcdef", "json://127.0.0.1:9/", hook.url)
    said = telling.send(HELLO)
    telling.close()
    assert [bool(why) for why in said.values()] == [True, True, False]
    assert said["service 1"].startswith("Apprise does not know that URL")
    assert len(hook.told) == 1
    assert "abcdef" not in str(log)


def test_a_service_that_hangs_holds_nobody_up(hook: WebHook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "ANSWER_S", 1.0)
    hook.lets_go.clear()
    with WebHook() as other:
        telling = messenger(hook.url, other.url)
        first, second = telling.send(HELLO), telling.send(HELLO)
        assert list(first.values()) == ["It has not answered within 1 s.", ""]
        assert list(second.values()) == ["It still hangs on a message before.", ""]
        telling.close()
    hook.lets_go.set()
    hook.messages(1)


def test_too_many_messages_are_refused_and_told(hook: WebHook, log: list[EventDict]) -> None:
    hook.lets_go.clear()
    telling = messenger(hook.url)
    for _ in range(messages.MOST_WAITING + 2):
        telling.tell(HELLO)
    assert {line["event"] for line in log} == {"A message is not sent: too many wait for services that do not answer"}
    hook.lets_go.set()
    hook.messages(messages.MOST_WAITING)
    telling.close()


def test_a_failure_inside_the_library_is_told_by_its_kind_alone(hook: WebHook, monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service(hook.url, 1)

    def fail(**_: object) -> bool:
        raise KeyError(f"{hook.url}?secret")

    monkeypatch.setattr(service._plugin, "notify", fail)
    why = service.send(HELLO, None)
    assert "(inside its library: KeyError)" in why
    assert "secret?" not in why
    assert hook.url not in why
