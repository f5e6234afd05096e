"""The composition of what hears people in Slack. Imported only where there is an app token."""

from __future__ import annotations

import contextlib
import random
from functools import partial
from typing import TYPE_CHECKING, Self

from worker.commands.startup import slack
from worker.core.leases import LINKS
from worker.loops.act import Perform
from worker.loops.answer import AnswerCommand, ShowPage
from worker.loops.hear import Gate, Hear, Presses
from worker.loops.people import KnownPersons
from worker.loops.worklists import Worklists
from worker.notifiers.slack.people import SlackPeople
from worker.notifiers.slack.private_answers import SlackAnswers
from worker.notifiers.slack.socket_door import Door
from worker.notifiers.slack.socket_inbox import SocketInbox
from worker.rules import corrections
from worker.settings.values import duration

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.app import Parts
    from worker.core.ports import Clock
    from worker.notifiers.slack.notifier import Slack
    from worker.settings import Settings


class Listening:
    """The inbox of the process, which outlives a change of the settings. Closed, its client is."""

    def __init__(self, machine: Clock) -> None:
        self._machine = machine
        self._stack = contextlib.ExitStack()
        self._inbox: SocketInbox | None = None
        self._opened_by: object = None

    def __enter__(self) -> Self:
        """The same."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close the client."""
        self._stack.close()

    def inbox(self, settings: Settings, parts: Parts, notifier: Slack, acted: Callable[[], None]) -> SocketInbox | None:
        """The inbox by these settings, not yet started where it is another; None without an app token.

        `acted` is called after each act of a person.
        """
        take = _hear(settings, parts, notifier, self._machine, acted)
        opened_by = settings.slack_app_token, settings.slack_base_url, settings.network
        if self._inbox is not None and self._opened_by == opened_by:
            self._inbox.hand_to(take, partial(_was_seen, parts))
            return self._inbox
        if self._inbox is not None:
            self._inbox.hand_to(take, partial(_was_seen, parts))
            self._inbox.stop()
            self._stack.close()
        self._opened_by = opened_by
        self._inbox = None if settings.slack_app_token is None else self._opened(settings, parts, take)
        return self._inbox

    def _opened(self, settings: Settings, parts: Parts, take: Hear) -> SocketInbox:
        door = Door(
            self._stack.enter_context(slack(settings, settings.slack_app_token)),
            route=settings.route,
            clock=self._machine,
            incidents=parts.board,
            # Its own: it spreads opens, and guards nothing.
            jitter=random.Random().random,  # noqa: S311
            others=lambda: min(parts.assignments.workers, len(LINKS)) - 1,
            allow_plain=settings.slack_base_url.startswith("http://"),
        )
        return SocketInbox(
            door,
            take=take,
            seen=partial(_was_seen, parts),
            clock=self._machine,
            wanted=lambda: any(parts.assignments.has(task) for task in LINKS),
        )


def _was_seen(parts: Parts, envelope_id: str) -> bool:
    return not parts.store.first_heard(envelope_id, parts.clock.now())


def _hear(settings: Settings, parts: Parts, notifier: Slack, machine: Clock, acted: Callable[[], None]) -> Hear:
    answers = SlackAnswers(notifier)
    persons = KnownPersons(parts.store, parts.clock, corrections(settings))
    worklists = Worklists(
        acting=parts.store,
        polls=parts.store,
        rules=parts.rules,
        persons=persons,
        queues=lambda: {*parts.roster.queues},
    )
    perform = Perform(
        acting=parts.store,
        polls=parts.store,
        rules=parts.rules,
        persons=persons,
        claim_for=settings.actions_claim_for.with_days_of,
        may_act=settings.actions_who,
        meter=parts.meter,
    )
    return Hear(
        gate=Gate(team=notifier.team_id, accounts=SlackPeople(notifier), clock=machine),
        answers=answers,
        clock=machine,
        pages=ShowPage(worklists=worklists, answers=answers, clock=parts.clock),
        commands=AnswerCommand(
            worklists=worklists,
            perform=perform,
            answers=answers,
            rules=parts.rules,
            clock=parts.clock,
            duration=duration,
            may_see=settings.actions_who,
            through=notifier.limits.scheme,
            acted=acted,
        ),
        presses=Presses(
            perform=perform,
            answers=answers,
            rules=parts.rules,
            clock=parts.clock,
            through=notifier.limits.scheme,
            acted=acted,
            worklists=worklists,
        ),
    )
