"""Hears what people do in the notifier's service: lets members in, and has each thing treated.

A press is treated here; commands and the opened page have parts of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, TypeVar

import structlog
from msgspec import Struct

from worker.core.actions import Refusal
from worker.core.audience import Problem
from worker.core.controls import MINE, choice_of
from worker.core.cooldown import Cooldown
from worker.core.ports import Command, DeliveryError, HomeOpened, Press, StoreError
from worker.core.replies import GUESTS, NO_CONTROL, NOT_HERE, NOT_PEOPLE, NOT_SEEN, NOT_TAKEN, reply_text
from worker.core.text import flat
from worker.loops.act import Wish

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.core.ports import Accounts, Answers, Clock, Heard
    from worker.loops.act import Perform
    from worker.loops.worklists import Worklists
    from worker.rules import RulesOf

log = structlog.get_logger(__name__)

KNOWN_SECONDS = 600.0
"""The time for which a member is let in without being looked up again."""

_MOST_KNOWN = 1000

PUBLISHED_SECONDS = 60.0
"""The time between two publications of one person's page."""
_LONGEST_NAME = 80


class Visitor(Struct, frozen=True):
    """A full member of our own team who does something, with the name to show."""

    user: str
    name: str = ""


_T = TypeVar("_T", Press, Command, HomeOpened)
Treat: TypeAlias = "Callable[[_T, Visitor], None]"
"""Treats one thing that a member does. May raise StoreError, after which nothing was done."""


class NotAdmittedError(Exception):
    """A person who may not act. `str()` is what this person is shown."""


class Gate:
    """Lets full members of our own team in. Used by one thread."""

    def __init__(self, *, team: Callable[[], str], accounts: Accounts, clock: Clock) -> None:
        """`team` gives the id of our own team, and may raise DeliveryError."""
        self._team = team
        self._accounts = accounts
        self._clock = clock
        self._known: dict[str, tuple[Visitor, Cooldown]] = {}

    def __call__(self, user: str, team: str) -> Visitor:
        """The member who acts. Raises NotAdmittedError."""
        try:
            is_ours = team == self._team()
            return self._member(user) if is_ours else self._refuse(NOT_HERE)
        except DeliveryError as error:
            log.warning("member_not_looked_up", error=str(error))
        return self._refuse(NOT_SEEN)

    def _member(self, user: str) -> Visitor:
        now = self._clock.monotonic()
        visitor, lasting = self._known.get(user, (None, Cooldown()))
        if visitor is not None and not lasting.is_over(now):
            return visitor
        account = self._accounts.by_id(user)
        if account is None or account.problem is Problem.LEFT:
            return self._refuse(NOT_HERE)
        if account.problem is not Problem.NONE:
            return self._refuse(GUESTS if account.problem is Problem.GUEST else NOT_PEOPLE)
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        visitor = Visitor(user, flat(account.name, _LONGEST_NAME))
        self._known[user] = visitor, Cooldown(now + KNOWN_SECONDS)
        return visitor

    def _refuse(self, text: str) -> Visitor:
        raise NotAdmittedError(text)


class Hear:
    """Treats everything that people do, one after the other. Used by one thread."""

    def __init__(
        self,
        *,
        gate: Callable[[str, str], Visitor],
        answers: Answers,
        clock: Clock,
        presses: Treat[Press],
        commands: Treat[Command],
        pages: Treat[HomeOpened],
    ) -> None:
        """`gate` gets a user and that user's team, and gives the member or raises NotAdmittedError."""
        self._gate = gate
        self._answers = answers
        self._clock = clock
        self._presses = presses
        self._commands = commands
        self._pages = pages
        self._published: dict[str, Cooldown] = {}

    def __call__(self, what: Heard) -> None:
        """Treat one thing, or answer why it is not done."""
        # Before anything is looked up: who leafs through the app opens its page again and again.
        if isinstance(what, HomeOpened) and not self._is_page_due(what.user):
            return
        try:
            self._treat(what, self._gate(what.user, what.team))
        except NotAdmittedError as refusal:
            log.info("not_admitted", what=type(what).__name__, reason=str(refusal))
            answer(self._answers, what, str(refusal))
        except StoreError as error:
            log.warning("not_taken", what=type(what).__name__, error=str(error))
            answer(self._answers, what, NOT_TAKEN)

    def _treat(self, what: Heard, visitor: Visitor) -> None:
        match what:
            case Press():
                self._presses(what, visitor)
            case Command():
                self._commands(what, visitor)
            case HomeOpened():
                self._pages(what, visitor)

    def _is_page_due(self, user: str) -> bool:
        """Whether the page of a user was not published within the last minute; if so, it counts as published now."""
        now = self._clock.monotonic()
        self._published = {each: rest for each, rest in self._published.items() if not rest.is_over(now)}
        if user in self._published:
            return False
        self._published[user] = Cooldown(now + PUBLISHED_SECONDS)
        return True


def answer(answers: Answers, what: Heard, text: str) -> None:
    """Show a person a text where that person did something, or on our page where that was opened."""
    try:
        if isinstance(what, HomeOpened):
            answers.publish(what.user, text)
            return
        place, thread = where_pressed(what)
        answers.ephemeral(place, what.user, text, thread=thread)
    except DeliveryError as error:
        log.warning("not_answered", error=str(error))


def where_pressed(what: Press | Command) -> tuple[str, str]:
    """Where an answer is shown: the channel, and the first message of the thread."""
    if isinstance(what, Command):
        return what.place, ""
    # What was pressed on a page was pressed in no channel: the person is sent the answer.
    return (what.on.channel, what.thread) if what.on is not None else (what.user, "")


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
