"""A worker that does one thing at a time, and gives way to everything else."""

import os
import threading

import pytest

from alpaca_focus.service import threads
from alpaca_focus.service.threads import NICENESS, LowPriorityWorker


def test_what_comes_meanwhile_is_refused_not_queued() -> None:
    worker, gate, done = LowPriorityWorker("quiet"), threading.Event(), []

    def work() -> None:
        gate.wait(10)
        done.append("first")

    assert worker.start(work)
    assert not worker.start(lambda: done.append("second"))
    gate.set()
    worker.close()
    assert done == ["first"]


def test_the_next_is_taken_when_the_one_before_has_ended() -> None:
    worker, ended = LowPriorityWorker("quiet"), threading.Event()
    assert worker.start(lambda: None)
    while not worker.start(ended.set):
        pass
    assert ended.wait(10)
    worker.close()


def test_its_thread_gives_way() -> None:
    worker, niceness = LowPriorityWorker("quiet"), []
    worker.start(lambda: niceness.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id())))
    worker.close()
    assert niceness[0] >= min(NICENESS, 19)


def test_work_that_fails_is_logged_and_the_next_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    worker, done = LowPriorityWorker("quiet"), threading.Event()

    def fail() -> None:
        raise ValueError("a bug")

    worker.start(fail)
    while not worker.start(done.set):
        pass
    worker.close()
    assert done.is_set()
    assert "a bug" in capsys.readouterr().out


def test_without_a_priority_the_work_is_done_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: int) -> None:
        raise PermissionError("not here")

    monkeypatch.setattr(threads.os, "setpriority", refuse)
    worker, done = LowPriorityWorker("quiet"), threading.Event()
    assert worker.start(done.set)
    worker.close()
    assert done.is_set()


def test_closing_is_harmless_without_work() -> None:
    LowPriorityWorker("quiet").close()
