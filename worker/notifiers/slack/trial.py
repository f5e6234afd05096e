"""The trial of `test`: a message is posted, edited, looked up by its key and deleted, which proves each right."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from uuid import uuid4

from msgspec import Struct, field
from msgspec.structs import replace

from worker.core.message import Message
from worker.core.model import Kind
from worker.core.overview import Finding
from worker.core.ports import DeliveryError, Outcome
from worker.notifiers.slack.check import POSTING, add_scope, reading_scope, token_fix
from worker.notifiers.slack.rooms import CHANNEL_NOT_FOUND, Rooms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from worker.core.owed import Destination, Receipt
    from worker.core.ports import Clock
    from worker.notifiers.slack.notifier import BotIdentity, Channel, Slack

POSTED = "A test of the review notifier: this message is edited, looked up and deleted at once. There is nothing to do."
EDITED = f"{POSTED} (edited)"
LEFT = "delete the message in Slack by hand; the worker itself never deletes one"

TRIES = 3
"""Looks for the message: a post may come into the history a moment later than its answer."""

_CLICKS = {
    CHANNEL_NOT_FOUND: "correct the channel's id, which its details end with; where it is private, {invite}",
    "is_archived": "unarchive the channel in its settings, or name another",
    "not_in_channel": "{invite}",
}
"""The clicks that end a refusal, by Slack's code."""

_NEEDED = re.compile(r"\(needs ([\w:.]+)\)")
"""The right that Slack itself names, in the text of an error."""


def prove(
    slack: Slack, places: Iterable[Destination], clock: Clock, pause: Callable[[float], object]
) -> Iterator[Finding]:
    """Try the token, then each place once; `pause` waits some seconds."""
    try:
        identity = slack.identity()
    except DeliveryError as error:
        yield Finding("slack token", ok=False, text=str(error), fix=token_fix(error))
        return
    rooms = Rooms(slack)
    for place in dict.fromkeys(places):
        yield from _Trial(slack, identity, place, clock, pause, _seen(slack, place), rooms).findings_of_all()


def _seen(slack: Slack, place: Destination) -> Channel | None:
    try:
        return slack.channel(place.place)
    except DeliveryError:  # its name is only for people: what matters shows in the acts
        return None


class _Trial(Struct):
    """One test message to a place, and what it has shown so far; `channel` is None where it cannot be seen."""

    slack: Slack
    identity: BotIdentity
    destination: Destination
    clock: Clock
    pause: Callable[[float], object]
    channel: Channel | None
    rooms: Rooms
    findings: list[Finding] = field(default_factory=list)

    def findings_of_all(self) -> list[Finding]:
        """Post, edit, look up and delete; a finding for each act, and for each right that is known to be missing."""
        began_at = self.clock.now()
        message = Message(uuid4(), Kind.TEST, self.destination, as_of=began_at, text=POSTED)
        receipt = self._post(message, began_at)
        if receipt is not None:
            try:
                self._try("edit", "edited", lambda: self.slack.edit(replace(message, text=EDITED), receipt))
                self._look_up(message, began_at)
            finally:  # an interrupted test leaves no message behind either
                self._try("delete", "deleted", lambda: self.slack.delete(receipt))
        self._known_to_miss()
        return self.findings

    def _post(self, message: Message, began_at: datetime) -> Receipt | None:
        try:
            receipt: Receipt | None = self.slack.send(message)
        except DeliveryError as error:
            receipt = self._lost(message, began_at) if error.outcome is Outcome.UNKNOWN else None
            if receipt is None:
                self._refused("post", error, POSTING)
                return None
        self._done("post", "posted")
        return receipt

    def _lost(self, message: Message, began_at: datetime) -> Receipt | None:
        """The message whose answer was lost."""
        try:
            return self._found(message, began_at)
        except DeliveryError:
            return None

    def _look_up(self, message: Message, began_at: datetime) -> None:
        try:
            found = self._found(message, began_at)
        except DeliveryError as error:
            self._refused("look up", error, self._reading())
            return
        if found:
            self._done("look up", "found by its key")
            return
        text = f"the message was posted, but {TRIES} searches of the history did not find it"
        self._failed("look up", text, "run `review-notifier test` again")

    def _found(self, message: Message, began_at: datetime) -> Receipt | None:
        for look in range(TRIES):
            found = self.slack.find(message, began_at)
            if found is not None:
                return found
            if look < TRIES - 1:
                self.pause(1.0)
        return None

    def _try(self, act: str, done: str, do: Callable[[], None]) -> None:
        try:
            do()
        except DeliveryError as error:
            self._refused(act, error, POSTING)
        else:
            self._done(act, done)

    def _refused(self, act: str, error: DeliveryError, scope: str) -> None:
        text = f"Slack answered {error.code}" if error.code in _CLICKS else str(error)
        if error.code == "missing_scope":
            named = _NEEDED.search(str(error))
            scope = named[1] if named else scope
            text = f"the app lacks the right {scope}"
        fix = self._fix(error, scope)
        if act == "delete":
            fix = f"{fix}; {LEFT}" if fix else LEFT
        self._failed(act, text, fix)

    def _fix(self, error: DeliveryError, scope: str) -> str:
        if error.code == "missing_scope":
            return add_scope(scope)
        if error.outcome is Outcome.THROTTLED:
            seconds = error.retry_after.total_seconds() if error.retry_after else 60
            return f"run `review-notifier test` again in {seconds:.0f} s"
        invite = f"send this in the channel: /invite @{self.identity.user}"
        meant = self.rooms.meant(self.destination.place) if error.code == CHANNEL_NOT_FOUND else ""
        return meant + _CLICKS.get(error.code, "").format(invite=invite)

    def _known_to_miss(self) -> None:
        """Add the rights that are missing for acts that could not be tried."""
        scopes = self.identity.scopes
        named = " ".join(finding.text for finding in self.findings)
        reading = [self._reading()] if self.channel or "groups:history" not in (scopes or ()) else []
        for scope in (POSTING, *reading) if scopes is not None else ():
            if scope not in (scopes or ()) and scope not in named:
                self._failed("look up", f"the app lacks the right {scope}", add_scope(scope))

    def _reading(self) -> str:
        return "channels:history" if self.channel is None else reading_scope(self.channel)

    def _done(self, act: str, text: str) -> None:
        self.findings.append(Finding(f"{act} in {self._where()}", ok=True, text=text))

    def _failed(self, act: str, text: str, fix: str) -> None:
        self.findings.append(Finding(f"{act} in {self._where()}", ok=False, text=text, fix=fix))

    def _where(self) -> str:
        return f"#{self.channel.name} ({self.channel.channel_id})" if self.channel else self.destination.place
