"""Treats presses of the controls in messages: performs the act, answers its person, and has it shown at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.core.actions import Refusal
from worker.core.controls import MINE, choice_of
from worker.core.replies import NO_CONTROL, reply_to
from worker.loops.act import Wish
from worker.loops.hear import answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.core.ports import Answers, Clock, Press
    from worker.loops.act import Perform
    from worker.loops.hear import Treat, Visitor
    from worker.rules import RulesOf


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
        mine: Treat[Press] | None = None,
    ) -> None:
        """`acted` is called after each act that changed anything; `through` names the notifier's service in the audit.

        `mine` shows people what waits for them.
        """
        self._perform = perform
        self._answers = answers
        self._rules = rules
        self._clock = clock
        self._through = through
        self._acted = acted
        self._mine = mine

    def __call__(self, press: Press, visitor: Visitor) -> None:
        """Do what was pressed, or answer why not. Raises StoreError, after which nothing was done."""
        if press.action == MINE and self._mine is not None:
            self._mine(press, visitor)
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
            text = reply_to(choice.act, acted, queue, choice.queue_run_id, calendar.zone)
            answer(self._answers, press, text)
