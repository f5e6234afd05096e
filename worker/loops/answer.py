"""Answers what people ask for: with the command, and by opening our own page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from worker.core.actions import Act, MayAct, Refusal
from worker.core.command import (
    Ask,
    for_reviewers,
    help_text,
    matching,
    no_time,
    request_of,
    several_queues,
    timed,
    unknown_queue,
    unquoted,
    until_of,
)
from worker.core.ports import DeliveryError
from worker.core.replies import reply_text
from worker.loops.act import Wish

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import timedelta

    from worker.core.model import Queue
    from worker.core.ports import Answers, Clock, Command, HomeOpened
    from worker.core.worklist import Worklist
    from worker.loops.act import Perform
    from worker.loops.hear import Visitor
    from worker.loops.worklists import Worklists
    from worker.rules import RulesOf

log = structlog.get_logger(__name__)


class AnswerCommand:
    """Answers what people write after the command. Used by one thread."""

    def __init__(  # noqa: PLR0913  (its surroundings, all by name)
        self,
        *,
        worklists: Worklists,
        perform: Perform,
        answers: Answers,
        rules: RulesOf,
        clock: Clock,
        duration: Callable[[str], timedelta],
        may_see: MayAct,
        through: str,
        acted: Callable[[], None],
    ) -> None:
        """`duration` reads one that is written, or raises ValueError. `may_see` says who may list a whole queue.

        `acted` is called after each act that changed anything; `through` names the notifier's service in the audit.
        """
        self._worklists = worklists
        self._perform = perform
        self._answers = answers
        self._rules = rules
        self._clock = clock
        self._duration = duration
        self._may_see = may_see
        self._through = through
        self._acted = acted

    def __call__(self, command: Command, visitor: Visitor) -> None:
        """Answer one command. Raises StoreError, after which nothing was done."""
        answer = self._answer(command, visitor)
        try:
            if isinstance(answer, str):
                self._answers.ephemeral(command.place, command.user, answer)
            elif answer is not None:
                self._answers.show(command.place, command.user, answer)
        except DeliveryError as error:
            log.warning("not_answered", error=str(error))

    def _answer(self, command: Command, visitor: Visitor) -> Worklist | str | None:
        request = request_of(command.text)
        match request.ask:
            case Ask.MINE:
                return self._worklists.of(visitor.user, self._clock.now())
            case Ask.HELP:
                return help_text(command.name)
            case Ask.QUEUE:
                return self._list(command, visitor, unquoted(request.about))
            case _:
                return self._mute(command, visitor, request.ask, request.about)

    def _list(self, command: Command, visitor: Visitor, wanted: str) -> Worklist | str:
        queues = self._worklists.queues()
        found = matching(queues, wanted)
        if len(found) != 1:
            return several_queues(wanted, found) if found else self._unknown(command, visitor, wanted, queues)
        if not self._is_shown_to(visitor, found[0]):
            return for_reviewers(found[0])
        return self._worklists.within(found[0], visitor.user, self._clock.now())

    def _unknown(self, command: Command, visitor: Visitor, wanted: str, queues: Sequence[Queue]) -> str:
        # Names of queues are shown to those alone who may see what waits in them.
        return unknown_queue(command.name, wanted, [queue for queue in queues if self._is_shown_to(visitor, queue)])

    def _is_shown_to(self, visitor: Visitor, queue: Queue) -> bool:
        return self._may_see is MayAct.ANYONE or self._worklists.is_reviewer(visitor.user, queue)

    def _mute(self, command: Command, visitor: Visitor, ask: Ask, about: str) -> str | None:
        queues = self._worklists.queues()
        wanted = unquoted(about)
        # The end of a mute has no time, and a name may look like one.
        written = timed(queues, about) if ask is Ask.MUTE else None
        found = matching(queues, wanted) if written is None else written.queues
        name = wanted if written is None else written.name
        if len(found) != 1:
            return several_queues(name, found) if found else self._unknown(command, visitor, name, queues)
        if written is not None and not written.until:
            return no_time(command.name, found[0])
        return self._act(command, visitor, found[0], None if written is None else written.until)

    def _act(self, command: Command, visitor: Visitor, queue: Queue, until: str | None) -> str | None:
        """Mute a queue, or end that where there is no `until`."""
        now, calendar = self._clock.now(), self._rules(queue).calendar
        try:
            ends_at = None if until is None else until_of(until, calendar, now, self._duration)
        except ValueError as error:
            return str(error)
        act = Act.UNMUTE if until is None else Act.MUTE
        wish = Wish(
            act=act,
            queue_id=queue.queue_id,
            user=visitor.user,
            name=visitor.name,
            until=ends_at,
            through=self._through,
            envelope_id=command.envelope_id,
        )
        acted = self._perform(wish, now)
        if acted.refusal is None:
            self._acted()
        # The same command once more was answered before.
        return None if acted.refusal is Refusal.REPEATED else reply_text(act, acted, queue, None, calendar.zone)


class ShowPage:
    """Shows people who open our own page what waits for them."""

    def __init__(self, *, worklists: Worklists, answers: Answers, clock: Clock) -> None:
        """Nothing is published yet."""
        self._worklists = worklists
        self._answers = answers
        self._clock = clock

    def __call__(self, opened: HomeOpened, visitor: Visitor) -> None:
        """Publish the page of one person. Raises StoreError."""
        try:
            self._answers.publish(opened.user, self._worklists.of(visitor.user, self._clock.now()))
        except DeliveryError as error:
            log.warning("page_not_published", error=str(error))
