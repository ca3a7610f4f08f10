import asyncio
import threading
from datetime import UTC, datetime

import pytest

from alpaca_focus.feed.feed import LONGEST_LOG, LONGEST_QUEUE, LONGEST_REPLAY, Entry, Feed, Subscription

pytestmark = pytest.mark.unit

AT = datetime(2026, 3, 1, 22, 0, tzinfo=UTC)


def a_feed() -> Feed:
    return Feed(lambda: AT)


async def read(subscription: Subscription, count: int) -> list[Entry]:
    return [await anext(subscription) for _ in range(count)]


async def read_until(subscription: Subscription, topic: str) -> list[Entry]:
    entries = []
    async for entry in subscription:
        entries.append(entry)
        if entry.topic == topic:
            break
    return entries


def test_the_newest_of_each_topic_is_stored() -> None:
    feed = a_feed()
    feed.publish("status", {"state": "watching"})
    feed.publish("run", {"active": True})
    feed.publish("status", {"state": "a focus run"})

    latest = feed.latest
    assert {topic: dict(entry.data) for topic, entry in latest.items()} == {
        "status": {"state": "a focus run"},
        "run": {"active": True},
    }
    assert latest["status"].number > latest["run"].number
    assert latest["run"].at == AT


def test_what_is_published_is_not_changed_by_the_publisher_later() -> None:
    feed = a_feed()
    data: dict[str, object] = {"state": "watching"}
    feed.publish("status", data)
    data["state"] = "something else"
    assert feed.latest["status"].data == {"state": "watching"}


def test_the_log_is_bounded() -> None:
    feed = a_feed()
    for number in range(LONGEST_LOG + 7):
        feed.publish("log", {"event": str(number)})
    feed.publish("status", {})
    assert [entry.data["event"] for entry in feed.log()] == [str(number) for number in range(7, LONGEST_LOG + 7)]


async def newest_first_then_new() -> None:
    feed = a_feed()
    feed.publish("status", {"looks": 1})
    feed.publish("log", {"event": "begun"})
    feed.publish("status", {"looks": 2})
    with feed.subscribe() as subscription:
        feed.publish("run", {"active": True})
        entries = await read(subscription, 3)
    assert [entry.topic for entry in entries] == ["log", "status", "run"]
    assert entries[1].data == {"looks": 2}
    assert entries == sorted(entries, key=lambda entry: entry.number)


def test_a_new_subscriber_gets_the_newest_of_each_topic_first() -> None:
    asyncio.run(newest_first_then_new())


async def resumed() -> None:
    feed = a_feed()
    for number in range(10):
        feed.publish("log", {"event": str(number)})
    known = feed.log()[5].number
    with feed.subscribe(after=known) as subscription:
        assert [entry.data["event"] for entry in await read(subscription, 4)] == ["6", "7", "8", "9"]
    with feed.subscribe(after=feed.latest["log"].number) as subscription:
        feed.publish("log", {"event": "10"})
        assert [entry.data["event"] for entry in await read(subscription, 1)] == ["10"]


def test_one_who_was_away_gets_what_was_missed() -> None:
    asyncio.run(resumed())


async def not_remembered(*, after_a_restart: bool) -> None:
    feed = a_feed()
    feed.publish("run", {"active": False})
    known = 12 if after_a_restart else feed.latest["run"].number
    for number in range(LONGEST_REPLAY + 1):
        feed.publish("log", {"event": str(number)})
    with feed.subscribe(after=known) as subscription:
        entries = await read(subscription, 2)
    assert [entry.topic for entry in entries] == ["run", "log"]
    assert entries[1].data == {"event": str(LONGEST_REPLAY)}


@pytest.mark.parametrize("after_a_restart", [False, True])
def test_one_who_was_away_for_too_long_begins_anew(after_a_restart: bool) -> None:
    asyncio.run(not_remembered(after_a_restart=after_a_restart))


async def number_of_the_future() -> None:
    feed = a_feed()
    feed.publish("status", {"looks": 1})
    with feed.subscribe(after=10**15) as subscription:
        assert (await anext(subscription)).data == {"looks": 1}


def test_a_number_that_was_never_given_begins_anew() -> None:
    asyncio.run(number_of_the_future())


async def slow() -> None:
    feed = a_feed()
    with feed.subscribe() as subscription:
        for number in range(LONGEST_QUEUE + 30):
            feed.publish("log", {"event": str(number)})
        entries = await read(subscription, LONGEST_QUEUE + 1)
        feed.publish("log", {"event": "later"})
        later = await anext(subscription)
    assert entries[0].topic == "gap"
    assert entries[0].data == {"lost": 30}
    assert entries[0].number == entries[1].number - 1
    assert [entry.data["event"] for entry in entries[1:]] == [str(number) for number in range(30, LONGEST_QUEUE + 30)]
    assert later.data == {"event": "later"}


def test_a_slow_subscriber_loses_the_oldest_and_gets_a_gap() -> None:
    asyncio.run(slow())


def test_a_subscriber_whose_loop_is_closed_is_forgotten() -> None:
    feed = a_feed()

    async def entered() -> Subscription:
        return feed.subscribe().__enter__()

    asyncio.run(entered())
    feed.publish("status", {})
    assert feed._subscriptions == set()


async def one_that_leaves() -> None:
    feed = a_feed()
    with feed.subscribe():
        pass
    assert feed._subscriptions == set()


def test_a_subscriber_that_leaves_is_forgotten() -> None:
    asyncio.run(one_that_leaves())


def test_many_threads_publish_to_many_loops() -> None:
    publishers, subscribers, each = 8, 6, 300
    feed = a_feed()
    entered = threading.Barrier(subscribers + 1)
    received: list[list[Entry]] = []

    async def listen() -> None:
        with feed.subscribe() as subscription:
            entered.wait()
            received.append(await read_until(subscription, "end"))

    def publish(topic: str) -> None:
        for number in range(each):
            feed.publish(topic, {"number": number})

    listeners = [threading.Thread(target=asyncio.run, args=(listen(),)) for _ in range(subscribers)]
    for thread in listeners:
        thread.start()
    entered.wait()
    speakers = [threading.Thread(target=publish, args=(f"topic {number}",)) for number in range(publishers)]
    for thread in speakers:
        thread.start()
    for thread in speakers:
        thread.join()
    feed.publish("end", {})
    for thread in listeners:
        thread.join()

    assert len(received) == subscribers
    for entries in received:
        numbers = [entry.number for entry in entries]
        assert numbers == sorted(set(numbers))
        lost = sum(int(str(entry.data["lost"])) for entry in entries if entry.topic == "gap")
        delivered = sum(entry.topic != "gap" for entry in entries)
        assert delivered + lost == publishers * each + 1
