"""The inbox: what people do in Slack, over Socket Mode. It is acknowledged first, and worked on after that.

One thread keeps a link open, one reads each link, and one hands over.
"""

from __future__ import annotations

import queue
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from worker.core.ports import StoreError, always
from worker.net.failures import NetError
from worker.notifiers.slack.envelopes import acknowledgement, envelope_of, heard

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.core.overview import LinkState
    from worker.core.ports import Clock, Heard
    from worker.notifiers.slack.envelopes import SlackEnvelope
    from worker.notifiers.slack.socket_door import Door, LiveLink


log = structlog.get_logger(__name__)

MOST_WAITING = 1000
"""What may wait. Anything more is not acknowledged, so that Slack shows its person that it failed."""


class HandOver:
    """What was heard and waits to be treated, and the thread that hands it over. Thread-safe."""

    def __init__(
        self, take: Callable[[Heard], None], seen: Callable[[str], bool], *, most_waiting: int = MOST_WAITING
    ) -> None:
        """`take` gets what is heard, in order; `seen` says of an envelope's id whether it came before."""
        self._take, self._seen, self._most_waiting = take, seen, most_waiting
        self._waiting: queue.SimpleQueue[Heard | None] = queue.SimpleQueue()
        self._handing = threading.Lock()
        self._thread = threading.Thread(target=self._work, name="slack-presses", daemon=True)

    def start(self) -> None:
        """Begin to hand over."""
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """Wait for what was put in to be treated."""
        self._waiting.put(None)
        self._thread.join(seconds)

    @property
    def has_room(self) -> bool:
        """Whether one more thing may wait."""
        return self._waiting.qsize() < self._most_waiting

    def put(self, what: Heard) -> None:
        """Let something wait for its turn."""
        self._waiting.put(what)

    def hold(self) -> None:
        """Keep what is heard for whoever takes it next, once what is being treated is done."""
        self._handing.acquire()

    def hand_to(self, take: Callable[[Heard], None], seen: Callable[[str], bool]) -> None:
        """Hand what was held to another `take`, and from now on everything."""
        self._take, self._seen = take, seen
        self._handing.release()

    def _work(self) -> None:
        while (what := self._waiting.get()) is not None:
            with self._handing:
                try:  # one that goes wrong must not take the others along
                    if not self._was_seen(what):
                        self._take(what)
                except Exception:
                    log.exception("press_failed", envelope=what.envelope_id)

    def _was_seen(self, what: Heard) -> bool:
        try:
            return self._seen(what.envelope_id)
        except StoreError:  # it refuses the act as well, and the person is answered so
            return False


OLD_SECONDS = 15.0
"""The time for which a link is read on after a newer one has been opened."""

KEPT_SECONDS = 60.0
"""The time for which a link outlives its assignment, which lapses while the database is away, too."""


class SocketInbox:
    """Keeps one link to Slack open, and two while Slack replaces one. Thread-safe."""

    def __init__(
        self,
        door: Door,
        *,
        take: Callable[[Heard], None],
        seen: Callable[[str], bool],
        clock: Clock,
        wanted: Callable[[], bool] = always,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        """`take` gets what is heard, in order; `seen` says of an envelope's id whether it came before.

        `wanted` is asked every second whether this worker is to listen.
        """
        self._door, self._clock, self._wanted = door, clock, wanted
        self._hand_over = HandOver(take, seen, most_waiting=most_waiting)
        self._lines: list[LiveLink] = []
        self._turn, self._over, self._wanted_at = threading.Event(), threading.Event(), float("-inf")
        self._keeper = threading.Thread(target=self._keep, name="slack-link", daemon=True)

    def start(self) -> None:
        """Begin to listen, unless that has begun."""
        if self._keeper.ident is None:
            self._keeper.start()
            self._hand_over.start()

    def hold(self) -> None:
        """See `HandOver.hold`."""
        self._hand_over.hold()

    def hand_to(self, take: Callable[[Heard], None], seen: Callable[[str], bool]) -> None:
        """See `HandOver.hand_to`."""
        self._hand_over.hand_to(take, seen)

    def stop(self, seconds: float = 5.0) -> None:
        """Close every link with a close frame, and wait for what was acknowledged to be worked on."""
        self._over.set()
        self._turn.set()
        self._keeper.join(seconds)
        self._hand_over.stop(seconds)

    @property
    def state(self) -> LinkState:
        """See `Listener.state`."""
        return self._door.state(tuple(self._lines))

    def _keep(self) -> None:
        while not self._over.is_set():
            self._turn.clear()
            if self._wanted():
                self._wanted_at = self._clock.monotonic()
                if all(line.is_leaving for line in tuple(self._lines)) or self._door.ghosts.is_recount_due:
                    self._renew()
            elif self._clock.monotonic() - self._wanted_at >= KEPT_SECONDS:
                self._close()
            self._turn.wait(1.0)
        self._close()

    def _close(self) -> None:
        for line in tuple(self._lines):
            line.is_leaving = True
            line.link.close()
            line.reader.join(1.0)

    def _renew(self) -> None:
        """Open one more link after the wait that is due; those that Slack has given up are read on for a while."""
        if self._over.wait(self._door.wait()) or (line := self._door.open(len(self._lines))) is None:
            self._turn.set()
            return
        for old in tuple(self._lines):
            old.read_until = self._clock.monotonic() + OLD_SECONDS
        self._lines.append(line)
        line.reader = threading.Thread(target=self._read, args=(line,), name="slack-reader", daemon=True)
        line.reader.start()

    def _read(self, line: LiveLink) -> None:
        try:
            while self._clock.monotonic() < line.read_until:
                message = line.link.receive()
                self._door.proven(line)
                self._treat(line, envelope_of(message))
        except NetError as error:
            if not line.is_leaving:
                self._door.failed(error)
        finally:
            # Before the close frame, for whose answer a dead peer lets us wait.
            self._lines.remove(line)
            self._turn.set()
            line.link.close()

    def _treat(self, line: LiveLink, envelope: SlackEnvelope) -> None:
        if envelope.type == "disconnect" and not line.is_leaving:
            line.is_leaving = True
            self._door.left(envelope.reason, line.up_at)
            self._turn.set()
        elif envelope.envelope_id and self._hand_over.has_room:
            # Also where the link has just ended: Slack does not send a press again.
            with suppress(NetError):
                line.link.send(acknowledgement(envelope))
            if what := heard(envelope):
                self._hand_over.put(what)
