"""The composition of what hears people in Slack. Imported only where there is an app token."""

from __future__ import annotations

import contextlib
import random
from typing import TYPE_CHECKING

from worker.commands.setup import slack
from worker.core.leases import LINKS
from worker.loops.act import Perform
from worker.loops.ask import AnswerCommand, ShowPage
from worker.loops.hear import Gate, Hear
from worker.loops.people import KnownPersons
from worker.loops.press import Presses
from worker.loops.worklists import Worklists
from worker.notifiers.slack.answers import SlackAnswers
from worker.notifiers.slack.door import Door
from worker.notifiers.slack.inbox import SocketInbox
from worker.notifiers.slack.people import SlackPeople
from worker.rules import corrections
from worker.settings.values import duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from worker.app import Parts
    from worker.core.ports import Clock
    from worker.notifiers.slack.notifier import Slack
    from worker.settings import Settings


@contextlib.contextmanager
def inbox_for(
    settings: Settings, parts: Parts, notifier: Slack, machine: Clock, acted: Callable[[], None]
) -> Iterator[SocketInbox]:
    """The inbox of the service, not yet started; `acted` is called after each act of a person."""
    with slack(settings, settings.slack_app_token) as client:
        door = Door(
            client,
            route=settings.route,
            clock=machine,
            incidents=parts.board,
            # Its own: it spreads opens, and guards nothing.
            jitter=random.Random().random,  # noqa: S311
            others=lambda: min(parts.assignments.workers, len(LINKS)) - 1,
            allow_plain=settings.slack_base_url.startswith("http://"),
        )
        yield SocketInbox(
            door,
            take=_hear(settings, parts, notifier, machine, acted),
            seen=lambda envelope_id: not parts.store.first_heard(envelope_id, parts.clock.now()),
            clock=machine,
            wanted=lambda: any(parts.assignments.has(task) for task in LINKS),
        )


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
