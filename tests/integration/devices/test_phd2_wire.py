"""The wire to PHD2: slow, silent, noisy."""

import asyncio
from typing import Any

import pytest

from alpaca_focus.core.errors import DeviceMisbehaved, DeviceTimeout, DeviceUnreachable
from alpaca_focus.devices import phd2_wire
from tests.fake_phd2 import FakePhd2
from tests.guided_run import during_a_run, guider_at


def test_a_host_that_cannot_be_one_is_unreachable() -> None:
    with pytest.raises(DeviceUnreachable, match="cannot be reached"):
        asyncio.run(guider_at(f"{'a' * 70}.local:4400").pause())


def test_a_slow_phd2_is_waited_for() -> None:
    assert during_a_run(FakePhd2(answers_after_s=0.15)) == [None, None]


def test_a_phd2_that_does_not_answer_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phd2_wire, "ANSWER_WITHIN_S", 0.5)
    paused, resumed = during_a_run(FakePhd2(silent=frozenset({"get_app_state"})), timeout_s=60)
    assert isinstance(paused, DeviceTimeout)
    assert "did not answer within 0.5 s. Check whether it shows a dialog." in str(paused)
    assert resumed is None


def test_all_of_it_has_a_deadline() -> None:
    paused, _ = during_a_run(FakePhd2(answers_after_s=60), timeout_s=0.2)
    assert isinstance(paused, DeviceTimeout)
    assert "did not answer within 0.2 s." in str(paused)


NOISE = {
    "garbage": b"\xff\xfe\x00garbage\r\n{]\r\n\r\n[1, 2]\r\n3\r\nnull\r\n",
    "a long line": b'{"Event": "' + 1_500_000 * b"x" + b'"}\r\n',
    "a long line of brackets": 1_100_000 * b"[" + b"\r\n",
    "deep": 20_000 * b"[" + b"\r\n",
    "odd events": b'{"Event": null}\r\n{"Event": ["SettleDone"]}\r\n{"id": "x"}\r\n{"id": [1]}\r\n',
}


@pytest.mark.parametrize("noise", NOISE)
def test_noise_does_not_hurt(noise: str) -> None:
    fake = FakePhd2(noise=NOISE[noise])
    assert during_a_run(fake) == [None, None]
    assert fake.log[-1] == "get_settling"


@pytest.mark.parametrize("state", [None, 3, ["Guiding"]])
def test_an_invalid_state_is_a_misbehaviour(state: Any) -> None:
    fake = FakePhd2(state=state)
    paused, _ = during_a_run(fake)
    assert isinstance(paused, DeviceMisbehaved)
    assert "set_paused" not in fake.log
