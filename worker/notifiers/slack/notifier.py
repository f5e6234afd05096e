"""Posts to Slack, looks posts up by their key, and edits them; each failure gets an outcome."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from worker import process
from worker.clock import SystemClock
from worker.core.message import fingerprint
from worker.core.owed import Receipt
from worker.core.ports import ConfigError, DeliveryError, Limits, Outcome, always
from worker.net.route import DIRECT
from worker.notifiers.slack import errors
from worker.notifiers.slack.errors import THREAD_GONE, BotIdentity, Channel, Doing, NoAnswer, class_error, unanswered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from slack_sdk.web.slack_response import SlackResponse

    from worker.core.message import Message
    from worker.core.ports import Clock
    from worker.net.route import Route
    from worker.notifiers.slack.blocks import Rendered
    from worker.notifiers.slack.transport import Transport

__all__ = ["BotIdentity", "Channel", "Slack"]

BASE_URL = "https://slack.com/api/"
CALL_SECONDS = 25.0
"""The deadline of one call, whatever it waits for."""

PACE = timedelta(seconds=1)
"""The time between two messages to one channel, as Slack documents it."""

EDIT_PACE = timedelta(milliseconds=1350)
EDIT_BURST = 5
"""Slack allows 50 edits a minute in a workspace. What one person does may show in several messages, all at once."""

EDIT_EVERY = timedelta(seconds=30)
"""The time between two edits of one message: one whose runs are reviewed one after the other is edited once."""

LIMITS = Limits(
    name="Slack", scheme="slack", pace=PACE, edit_pace=EDIT_PACE, edit_burst=EDIT_BURST, edit_every=EDIT_EVERY
)

NOT_ASKED = frozenset({"unknown_method", "http_404", "http_405", "http_501"})
"""Answers of a server that does not know the probe."""

SLACK_AHEAD = timedelta(seconds=60)
"""The time by which this machine's clock may be ahead of Slack's when a post is looked up."""

HISTORY_PAGE = 100
CHANNEL_PAGES = 1000
"""Pages of channels that are searched for a name. Slack allows 20 a minute; the next call goes on from there."""

PAGES = 50
"""Pages of history that one look reads; a channel that is busier than that cannot be searched."""


class Slack:
    """The Notifier of Slack. Thread-safe."""

    def __init__(
        self,
        *,
        token: str,
        base_url: str = BASE_URL,
        seconds: float = CALL_SECONDS,
        hide: Callable[[str], str] = str,
        clock: Clock | None = None,
        route: Route = DIRECT,
    ) -> None:
        """Raise ConfigError for a token or a root that cannot be used; nothing is sent yet.

        `hide` takes secrets out of answers.
        """
        self._clock = clock = clock or SystemClock()
        token, base_url = _checked_token(token), _checked_root(base_url)

        def make() -> Transport:
            # Of asyncio slack-sdk looks for this one name, for clients that are none of ours.
            with process.without({"asyncio": {"Future": type("Future", (), {})}}):
                from worker.notifiers.slack.transport import Transport  # noqa: PLC0415 - see `_client`

            return Transport(token, base_url=base_url, seconds=seconds, hide=hide, clock=clock, route=route)

        self._make = make
        self._made: Transport | None = None
        self._making = threading.Lock()
        self._identity: BotIdentity | None = None
        self._ids: dict[str, str] = {}
        """The ids of channels by their names, and of direct messages by their users."""

        self._listed_to: dict[str, str] = {}
        """The cursors of searches for a channel's name that Slack broke off, by that name."""

    @property
    def _client(self) -> Transport:
        """The Web API."""
        # Made at the first call: slack-sdk is slow to import, and a start must not wait for it.
        with self._making:
            self._made = self._made or self._make()
            return self._made

    @property
    def limits(self) -> Limits:
        """See `Notifier.limits`."""
        return LIMITS

    def send(self, message: Message, in_time: Callable[[], bool] = always) -> Receipt:
        """Post once. A reply whose thread is gone goes to the channel itself."""
        try:
            return self._post(message, in_time, in_thread=message.root is not None)
        except DeliveryError as error:
            # With these errors the reply was surely not posted, so this is no second post.
            if message.root is None or error.code not in THREAD_GONE:
                raise
        return self._post(message, in_time, in_thread=False)

    def find(self, message: Message, since: datetime) -> Receipt | None:
        """Look once for the post with the message's key, made by this app."""
        me = self._known_identity()
        channel = self._channel_id(message.destination.place)
        oldest = (since - SLACK_AHEAD).timestamp()
        for found in self._candidates(message, channel, oldest):
            if errors.is_own_message(found, me) and errors.key(found) == str(message.key):
                return Receipt(channel=channel, ts=str(found["ts"]))
        return None

    def edit(self, message: Message, receipt: Receipt, in_time: Callable[[], bool] = always) -> None:
        """Replace the content of a post."""
        rendered = self.render(message)
        self._call(
            Doing.EDIT,
            # Without metadata, which then stays as it was posted: a look-up still finds the key.
            lambda: self._client.asking(in_time).chat_update(
                channel=receipt.channel,
                ts=receipt.ts,
                text=rendered["text"],
                blocks=rendered["blocks"],
            ),
            channel=receipt.channel,
        )

    def delete(self, receipt: Receipt) -> None:
        """Delete a post of ours. Raises DeliveryError."""
        self._call(
            Doing.EDIT,
            lambda: self._client.chat_delete(channel=receipt.channel, ts=receipt.ts),
            channel=receipt.channel,
        )

    def fingerprint(self, message: Message) -> str:
        """See `Notifier.fingerprint`."""
        return fingerprint(message)

    def probe(self) -> None:
        """See `Notifier.probe`."""
        try:
            self.identity()
        except DeliveryError as error:
            if error.code not in NOT_ASKED:
                raise
            raise DeliveryError(str(error), Outcome.NOT_ASKED, code=error.code) from error

    def render(self, message: Message) -> Rendered:
        """The payload of the message."""
        from worker.notifiers.slack import blocks  # noqa: PLC0415 - with the first message, not with the start

        # Only a link to a newer reminder needs the team's address, which may cost a request.
        if message.successor is None:
            return blocks.render(message)
        return blocks.render(message, team_url=self._team_url())

    def identity(self) -> BotIdentity:
        """Ask Slack for the team and the bot user of the token. Raises DeliveryError."""
        response = self._call(Doing.ASK, self._client.auth_test)
        self._identity = errors.bot_identity(response)
        return self._identity

    def team_id(self) -> str:
        """The id of the team that the token is for, asked for once. Raises DeliveryError."""
        return self._known_identity().team_id

    def address(self, receipt: Receipt) -> str:
        """The address of a posted message; empty before Slack has said whose token it is. Asks nothing."""
        from worker.notifiers.slack import blocks  # noqa: PLC0415 - see `render`

        return blocks.permalink(self._identity.url, receipt) if self._identity else ""

    def channel(self, channel: str) -> Channel:
        """Look a channel up by id, or a public one by name. Raises DeliveryError."""
        if not errors.is_id(channel):
            return self._named(channel, Doing.ASK)
        response = self._call(Doing.ASK, lambda: self._client.conversations_info(channel=channel), channel=channel)
        return errors.channel_of(response["channel"])

    def ask(self, method: str, **fields: str) -> SlackResponse:
        """Ask what changes nothing. Raises DeliveryError, which does not repeat the fields."""
        return self._call(Doing.ASK, lambda: self._client.api_call(method, data=dict(fields)))

    def link_url(self) -> str:
        """The address of a new link of Socket Mode, good for once; for the app token alone. Raises DeliveryError."""
        return str(self.ask("apps.connections.open").get("url") or "")

    def close(self) -> None:
        """Close the connections."""
        if self._made:
            self._made.close()

    def _post(self, message: Message, in_time: Callable[[], bool], *, in_thread: bool) -> Receipt:
        rendered = self.render(message)
        place = self._place(message.destination.place)
        thread: dict[str, Any] = {}
        if in_thread and message.root is not None:
            thread = {"thread_ts": message.root.ts, "reply_broadcast": message.broadcast}
        response = self._call(
            Doing.SEND,
            lambda: self._client.asking(in_time).chat_postMessage(
                channel=place,
                text=rendered["text"],
                blocks=rendered["blocks"] or None,
                metadata=rendered["metadata"],
                unfurl_links=False,
                unfurl_media=False,
                **thread,
            ),
            channel=message.destination.place,
        )
        receipt = errors.receipt(response)
        self._ids[message.destination.place] = receipt.channel
        return receipt

    def _candidates(self, message: Message, channel: str, oldest: float) -> Iterator[dict[str, Any]]:
        """The messages among which the post may be: of its thread, then of the channel."""
        if message.root is not None:
            yield from self._replies(channel, message.root.ts)
        # The channel as well, also for a reply: `send` may have posted it there.
        for page in self._pages(lambda cursor: self._history(channel, cursor), channel):
            yield from page
            # After the page: the newest one is searched whatever its times, so that a wrong clock hides nothing.
            if page and errors.seconds(page[-1]) < oldest:
                return

    def _history(self, channel: str, cursor: str | None) -> SlackResponse:
        return self._client.conversations_history(
            channel=channel, include_all_metadata=True, limit=HISTORY_PAGE, cursor=cursor
        )

    def _replies(self, channel: str, root: str) -> Iterator[dict[str, Any]]:
        def ask(cursor: str | None) -> SlackResponse:
            return self._client.conversations_replies(
                channel=channel, ts=root, include_all_metadata=True, limit=HISTORY_PAGE, cursor=cursor
            )

        try:
            for page in self._pages(ask, channel):
                yield from page
        except DeliveryError as error:
            if error.code not in THREAD_GONE:
                raise

    def _pages(self, ask: Callable[[str | None], SlackResponse], channel: str) -> Iterator[list[dict[str, Any]]]:
        """Every page of a listing. Raises DeliveryError where it breaks off: half a listing proves no absence."""
        cursor: str | None = None
        for _ in range(PAGES):
            response = self._call(Doing.FIND, lambda: ask(cursor), channel=channel)  # noqa: B023 - called at once
            yield errors.objects(response.get("messages"))
            cursor = errors.next_cursor(response)
            if not cursor:
                return
        raise DeliveryError(
            f"Channel {channel} has too many messages to look through for a post of ours",
            Outcome.BLIND,
            code="too_many_messages",
        )

    def _place(self, place: str) -> str:
        """A channel as it is, and the direct message of a user, opened once."""
        if not errors.is_user(place):
            return place
        if place not in self._ids:
            opened = self._call(Doing.OPEN, lambda: self._client.conversations_open(users=place), channel=place)
            self._ids[place] = errors.channel_of(opened["channel"]).channel_id
        return self._ids[place]

    def _channel_id(self, channel: str) -> str:
        """The id of a channel, which look-ups need. A name is looked up once."""
        if errors.is_user(channel):
            return self._place(channel)
        if errors.is_id(channel):
            return channel
        if channel not in self._ids:
            self._ids[channel] = self._named(channel, Doing.FIND).channel_id
        return self._ids[channel]

    def _named(self, name: str, doing: Doing) -> Channel:
        wanted = name.removeprefix("#")

        def ask(cursor: str | None) -> SlackResponse:
            return self._client.conversations_list(
                types="public_channel", exclude_archived=False, limit=1000, cursor=cursor
            )

        for _ in range(CHANNEL_PAGES):
            cursor = self._listed_to.pop(name, None)
            try:
                response = self._call(Doing.FIND, lambda: ask(cursor), channel=name)  # noqa: B023 - called at once
            except DeliveryError as error:
                if cursor and error.outcome is Outcome.THROTTLED:
                    self._listed_to[name] = cursor
                raise
            for raw in errors.objects(response.get("channels")):
                if raw.get("name") == wanted:
                    return errors.channel_of(raw)
            following = errors.next_cursor(response)
            if following in {"", cursor}:
                break
            self._listed_to[name] = following
        outcome = Outcome.BLIND if doing is Doing.FIND else Outcome.DESTINATION
        raise DeliveryError(
            f"No public channel is named {wanted}: set the channel by its id", outcome, code="channel_not_found"
        )

    def _known_identity(self) -> BotIdentity:
        return self._identity or self.identity()

    def _team_url(self) -> str:
        """The team's address, for links between messages; empty where it is not known."""
        try:
            return self._known_identity().url
        except DeliveryError:
            # Without a link the message is still true: no reason to fail.
            return ""

    def _call(self, doing: Doing, call: Callable[[], SlackResponse], *, channel: str = "") -> SlackResponse:
        from slack_sdk.errors import SlackApiError  # noqa: PLC0415 - see `_client`

        failure: DeliveryError
        try:
            return call()
        except SlackApiError as exc:
            failure = class_error(doing, exc, self._clock.now(), channel=channel)
        except NoAnswer as exc:
            failure = unanswered(doing, exc)
        # Raised outside the except clauses, so that its traceback does not hold the body of the answer.
        raise failure


def _checked_token(token: str) -> str:
    stripped = token.strip()
    if not (stripped.isascii() and stripped.isprintable()) or " " in stripped:
        raise ConfigError("SLACK_BOT_TOKEN holds characters that no token has: copy it again from the app's settings.")
    return stripped


def _checked_root(base_url: str) -> str:
    try:
        root = urlsplit(base_url)
        is_address = root.scheme in {"http", "https"} and bool(root.hostname) and root.port != 0
    except ValueError:
        is_address = False
    if not is_address:
        raise ConfigError(f"SLACK_BASE_URL is not an http(s) address; the usual one is {BASE_URL}")
    return base_url
