"""Treats presses of the controls in messages: performs the act, answers its person, and has it shown at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from worker.core.actions import Refusal
from worker.core.controls import MINE, choice_of
from worker.core.ports import DeliveryError
from worker.core.replies import NO_CONTROL, reply_text
from worker.loops.act import Wish
from worker.loops.hear import answer, where_pressed

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.core.ports import Answers, Clock, Press
    from worker.loops.act import Perform
    from worker.loops.hear import Visitor
    from worker.loops.worklists import Worklists
    from worker.rules import RulesOf

log = structlog.get_logger(__name__)


class Presses:
    """Treats presses, one after the other."""

    def __init__(  # noqa: PLR0913  (its surroundings, all by name)
        self,
        *,
        perform: Perform,
        answers: Answers,
        rules: RulesOf,
        clock: Clock,
        through: str,
        acted: Callable[[], None],
        worklists: Worklists,
    ) -> None:
        """`acted` is called after each act that changed anything; `through` names the service in the audit."""
        self._perform = perform
        self._answers = answers
        self._rules = rules
        self._clock = clock
        self._through = through
        self._acted = acted
        self._worklists = worklists

    def __call__(self, press: Press, visitor: Visitor) -> None:
        """Do what was pressed, or answer why not. Raises StoreError, after which nothing was done."""
        if press.action == MINE:
            self._show(press, visitor)
            return
        choice = choice_of(press.action, press.block, press.value)
        if choice is None:
            answer(self._answers, press, NO_CONTROL)
            return
        now, queue = self._clock.now(), self._perform.queue(choice.queue_id)
        calendar = self._rules(queue).calendar
        wish = Wish(
            act=choice.act,
            queue_id=choice.queue_id,
            queue_run_id=choice.queue_run_id,
            user=visitor.user,
            name=visitor.name,
            until=choice.until(calendar, now),
            through=self._through,
            envelope_id=press.envelope_id,
        )
        acted = self._perform(wish, now)
        if acted.refusal is None:
            self._acted()
        # The same press once more was answered before.
        if acted.refusal is not Refusal.REPEATED:
            text = reply_text(choice.act, acted, queue, choice.queue_run_id, calendar.zone)
            answer(self._answers, press, text)

    def _show(self, press: Press, visitor: Visitor) -> None:
        """Show a person what waits for that person."""
        worklist = self._worklists.of(visitor.user, self._clock.now())
        place, thread = where_pressed(press)
        try:
            self._answers.show(place, visitor.user, worklist, thread=thread)
        except DeliveryError as error:
            log.warning("not_answered", error=str(error))
