"""The commands by which people act (`claim`, `unclaim`, `snooze`, `mute`, `unmute`), and `actions`, the audit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from worker.app import last_polls
from worker.clock import SystemClock
from worker.commands import tables
from worker.commands.run_story import act_json, name_of
from worker.commands.runs import meant, not_polled, print_meant
from worker.commands.startup import DATABASE, opened, start
from worker.core.actions import ON_QUEUES, Act
from worker.core.calendar import ALWAYS_OPEN
from worker.core.command import matching, several_queues, until_of
from worker.core.directory import persons_of
from worker.core.replies import done_text, refused_text
from worker.core.text import plain
from worker.loops.act import Perform, Wish
from worker.rules import corrections, rules_for
from worker.settings.people import email as email_of
from worker.settings.values import duration

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from worker.core.actions import Acted, Record
    from worker.core.calendar import Calendar
    from worker.core.model import Queue, Review
    from worker.settings import Settings
    from worker.stores.sql import SqlStore

SHELL = "shell"
"""The way of an act that a command does."""


class WrittenError(ValueError):
    """A time or an e-mail that cannot be understood: wrong usage."""


class NotDoneError(Exception):
    """Nothing was done: what is meant is not known, or the act was refused. `str()` says why."""


def perform(word: str, on: str, *, by: str = "", until: str = "") -> None:
    """Act on the run or the queue that `on` means. Raises WrittenError, NotDoneError."""
    settings, email, wanted = start(DATABASE), _email(by), Act(word)
    # Wrong usage is found before anything is looked up; of a time only its zone depends on what is meant.
    _until(until, ALWAYS_OPEN, SystemClock().now())
    with opened(settings) as store:
        queue, review = (_queue(store, on), None) if wanted in ON_QUEUES else _run(store, on)
        calendar = rules_for(settings, SystemClock())(queue).calendar
        now = store.now(SystemClock())
        wish = Wish(
            act=wanted,
            queue_id=queue.queue_id,
            queue_run_id=None if review is None else review.queue_run_id,
            email=email,
            until=_until(until, calendar, now),
            through=SHELL,
        )
        acted = _do(settings, store, wish, now)
    name = queue.name if review is None else name_of(review)
    if acted.refusal is not None:
        raise NotDoneError(refused_text(name, acted))
    tables.say(done_text(wanted, name, acted, wish.until, calendar.zone))


def _do(settings: Settings, store: SqlStore, wish: Wish, now: datetime) -> Acted:
    persons = persons_of(store.cards(), corrections(settings), now)
    doing = Perform(
        acting=store,
        polls=store,
        rules=rules_for(settings, SystemClock(), lambda: persons),
        persons=lambda: persons,
        claim_for=settings.actions_claim_for.with_days_of,
        may_act=settings.actions_who,
    )
    return doing(wish, now)


def _run(store: SqlStore, what: str) -> tuple[Queue, Review | None]:
    """The one run that is meant: of several the one that waits."""
    found = [story for queue_run_id in meant(store, what.strip()) for story in store.stories(queue_run_id)]
    if not found:
        raise NotDoneError(
            f"{plain(what)!r} matches no run that was ever seen; `review-notifier runs` lists what waits"
        )
    waiting = [story for story in found if story.review.is_open]
    runs = {story.review.queue_run_id: story for story in waiting or found}
    if len(runs) > 1:
        print_meant(list(runs.values()), store.now(SystemClock()))
        raise NotDoneError(f"{plain(what)!r} could mean several runs")
    (story,) = runs.values()
    return story.queue, story.review


def _queue(store: SqlStore, wanted: str) -> Queue:
    polled = [each.queue for each in last_polls(store)]
    found = matching(polled, wanted)
    if len(found) > 1:
        raise NotDoneError(several_queues(wanted, found))
    if not found:
        raise NotDoneError(not_polled(wanted, polled))
    return found[0]


def _email(by: str) -> str:
    try:
        return email_of(by) if by else ""
    except ValueError as error:
        raise WrittenError(f"{plain(by)!r} {error}") from None


def _until(written: str, calendar: Calendar, now: datetime) -> datetime | None:
    """The instant that is written, where one is."""
    if not written:
        return None
    try:
        return until_of(written, calendar, now, duration)
    except ValueError as error:
        raise WrittenError(str(error)) from None


def actions(limit: int, *, as_json: bool) -> None:
    """Show the audit, newest first."""
    settings = start(DATABASE)
    with opened(settings) as store:
        found = store.records(limit)
    if as_json:
        tables.print_json({"actions": [record_json(each) for each in found]})
        return
    columns = ("When", "Who", "What", "On", "Until", "Through", "Result")
    tables.print_table(columns, [_row(each) for each in found], empty="Nobody has done anything yet.")


def record_json(record: Record) -> dict[str, Any]:
    """One act for programs, with the run or the queue that it was on."""
    action = record.action
    return {
        **act_json(record),
        "queue_run_id": None if action.queue_run_id is None else str(action.queue_run_id),
        "run": record.name or None,
        "queue_id": str(action.queue_id),
        "queue": record.queue or None,
    }


def _row(record: Record) -> Sequence[str]:
    action = record.action
    on = record.name or (str(action.queue_run_id) if action.queue_run_id else "")
    place = f"{on} in {record.queue}" if on and record.queue else on or record.queue or str(action.queue_id)
    until = "" if action.until is None else f"{action.until:%Y-%m-%d %H:%M} UTC"
    came = "done" if record.refusal is None else f"refused: {record.refusal.value.replace('_', ' ')}"
    return [f"{record.at:%Y-%m-%d %H:%M:%S} UTC", _who(record), _WORDS[action.act], place, until, action.through, came]


_WORDS = {
    Act.CLAIM: "claim",
    Act.GIVE_BACK: "give back",
    Act.SNOOZE: "snooze",
    Act.NOT_MINE: "not mine",
    Act.MUTE: "mute",
    Act.UNMUTE: "unmute",
}


def _who(record: Record) -> str:
    actor = record.action.actor
    return actor.name or actor.email or actor.who or "an operator"
