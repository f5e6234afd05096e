from __future__ import annotations

from structlog.testing import capture_logs

from tests.support.builders import DAY, HOUR, MINUTE, NOON, delivery, pause, to
from tests.support.clock import FakeClock
from tests.support.memory_store import MemoryStore
from worker.core.model import Kind
from worker.core.owed import State
from worker.core.text import unmarked
from worker.loops.incidents import MOST_A_DAY, Ops


def ops(store: MemoryStore, clock: FakeClock) -> Ops:
    return Ops(store=store, notes=store, clock=clock, channel=to("C0OPS"))


def texts(store: MemoryStore) -> list[str]:
    return [unmarked(each.text) for each in store.deliveries()[::-1]]


def test_a_hundred_dead_deliveries_are_ten_reports_and_the_rest_is_in_the_log() -> None:
    store, clock = MemoryStore(), FakeClock()
    with capture_logs() as logs:
        for number in range(100):
            ops(store, clock).dead(delivery(f"d{number}", state=State.DEAD, last_error="msg_too_long"), 1)
            clock.advance(MINUTE)
    assert len(texts(store)) == MOST_A_DAY
    assert texts(store)[-1].endswith("further ones are only in the log, and are reported tomorrow if they last.)")
    assert "tomorrow" not in texts(store)[-2]
    assert len([line for line in logs if line["event"] == "ops_report_left_out"]) == 90


def test_the_end_of_what_was_told_is_told_even_so() -> None:
    store, clock = MemoryStore(), FakeClock()
    speaker = ops(store, clock)
    for number in range(20):
        speaker.dead(delivery(f"d{number}", state=State.DEAD, last_error="x"), 1)
    speaker.works_again(pause(since=NOON))
    assert texts(store)[-1].startswith("Posting to C0SUPPORT works again.")


def test_ends_take_no_room_from_troubles() -> None:
    store, clock = MemoryStore(), FakeClock()
    for number in range(MOST_A_DAY):
        assert ops(store, clock).report(f"end {number}", name=f"end {number}", ending=True)
    assert not ops(store, clock).report("one end more", name="one end more", ending=True)
    assert ops(store, clock).report("trouble", name="trouble")
    assert texts(store)[-1] == "trouble"


def test_a_destination_held_among_too_many_troubles_is_told_of_the_next_day() -> None:
    store, clock = MemoryStore(), FakeClock()
    for number in range(MOST_A_DAY):
        ops(store, clock).report(str(number), name=str(number))
    for _ in range(3):
        ops(store, clock).held(pause(since=NOON), "not_in_channel")
        clock.advance(DAY)
    assert len(texts(store)) == MOST_A_DAY + 1
    assert texts(store)[-1].startswith("Posting to C0SUPPORT fails: not_in_channel.")


def test_what_is_owed_already_does_not_count() -> None:
    store, clock = MemoryStore(), FakeClock()
    for _ in range(50):
        ops(store, clock).report("the same", name="same")
    ops(store, clock).report("another", name="another")
    assert texts(store) == ["the same", "another"]


def test_a_new_day_may_speak_again() -> None:
    store, clock = MemoryStore(), FakeClock()
    for number in range(20):
        ops(store, clock).report(str(number), name=str(number))
    clock.advance(DAY + HOUR)
    ops(store, clock).report("new day", name="new day")
    assert texts(store)[-1] == "new day"


def test_a_clock_that_was_set_back_does_not_silence_us() -> None:
    store, clock = MemoryStore(), FakeClock()
    for number in range(20):
        ops(store, clock).report(str(number), name=str(number))
    clock.set_wall(NOON - 365 * DAY)
    ops(store, clock).report("yesteryear", name="yesteryear")
    assert texts(store)[-1] == "yesteryear"


def test_a_report_that_cannot_be_delivered_is_not_reported() -> None:
    store, clock = MemoryStore(), FakeClock()
    ops(store, clock).dead(delivery("ops", kind=Kind.OPS, state=State.DEAD, last_error="x"), 1)
    assert texts(store) == []


def test_a_report_names_the_message_its_channel_the_host_and_the_command() -> None:
    store, clock = MemoryStore(), FakeClock()
    speaker = Ops(store=store, notes=store, clock=clock, channel=to("C0OPS"), host="worker-1")
    lost = delivery("d", state=State.DEAD, last_error="msg_too_long \x02C0EVIL00000\x03")
    speaker.dead(lost, 3)
    speaker.held(pause(since=NOON), "not_in_channel", "a reminder of 3 runs in Support QA")
    speaker.works_again(pause(since=NOON))
    dead, held, works = [each.text for each in store.deliveries()[::-1]]
    what = "An announcement of 3 runs in Support QA for \x02C0SUPPORT\x03 could not be delivered"
    retry = f"When the cause is fixed, run `review-notifier retry {lost.key}`. Host: worker-1."
    assert dead == f"{what}: msg_too_long C0EVIL00000. {retry}"
    waits = (
        "Posting to \x02C0SUPPORT\x03 fails: not_in_channel. A reminder of 3 runs in Support QA waits for it. Nothing "
    )
    assert (held.startswith(waits), held.endswith("`review-notifier deliveries` lists it. Host: worker-1.")) == (
        True,
        True,
    )
    again = "Posting to \x02C0SUPPORT\x03 works again. It had failed since 2026-03-02 12:00 UTC (not_in_channel)."
    assert works == again
