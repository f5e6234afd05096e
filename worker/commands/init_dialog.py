"""The questions of `init`, and what an answer means: each is tried at once, and asked for again until it holds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from msgspec import Struct, field

from worker.commands import init_proof
from worker.commands.files import found_files
from worker.core.ports import ConfigError, DeliveryError, Outcome, SourceError, Trouble
from worker.core.text import folded, plain
from worker.notifiers.slack.rooms import CHANNEL_NOT_FOUND, did_you_mean_channel
from worker.settings.names import did_you_mean, some
from worker.settings.values import ALL_QUEUES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from worker.commands.asking import Asker
    from worker.core.model import Queue
    from worker.notifiers.slack.errors import Channel

_SHOWN = 20
"""Queues or channels that are shown to choose from."""

_COMMENT = re.compile(r"(?m)^\s*#.*\n|[ \t]+# .*$")


class ChoiceError(Exception):
    """An answer means nothing; `str()` says why, and what can be answered."""


def numbered(rows: Sequence[tuple[str, str]]) -> list[str]:
    """Rows to choose from by their numbers, each a name with something about it."""
    lines = [f"   {number}  {plain(name)}{f' ({more})' if more else ''}" for number, (name, more) in enumerate(rows, 1)]
    return lines[:_SHOWN] + ([f"   and {len(rows) - _SHOWN} more, by name or id"] if len(rows) > _SHOWN else [])


def chosen_queues(answer: str, queues: Sequence[Queue]) -> dict[str, str]:
    """The queues of an answer, names by ids; empty for all. Where none could be listed it is taken as it stands."""
    given = answer.strip()
    if given.casefold() == ALL_QUEUES:
        return {}
    by_name = {queue.name: queue for queue in queues}
    parts = [given] if given in by_name else [part.strip() for part in given.split(",") if part.strip()]
    if not queues:
        return dict.fromkeys(parts, "")
    found = [_queue(part, queues) for part in parts]
    return {str(queue.queue_id): queue.name for queue in found}


def _queue(part: str, queues: Sequence[Queue]) -> Queue:
    same = [queue for queue in queues if part in {queue.name, str(queue.queue_id)}]
    alike = [queue for queue in queues if folded(part) in {folded(queue.name), str(queue.queue_id)}]
    if same or alike:
        return (same or alike)[0]
    if part.isascii() and part.isdigit() and 0 < int(part) <= len(queues[:_SHOWN]):
        return queues[int(part) - 1]
    names = [queue.name for queue in queues]
    raise ChoiceError(f"the key sees no queue {part!r}{did_you_mean(part, names)}; it sees {some(names)}")


def chosen_channel(answer: str, numbers: Sequence[Channel], every: Iterable[Channel]) -> str:
    """The id of the channel of an answer; `numbers` are those that were shown. Anything else as it stands."""
    name = answer.strip().removeprefix("#")
    if name.isascii() and name.isdigit() and 0 < int(name) <= len(numbers[:_SHOWN]):
        return numbers[int(name) - 1].channel_id
    return next((channel.channel_id for channel in every if folded(channel.name) == folded(name)), name)


def manifest_link(manifest: str) -> str:
    """The address that creates a Slack app of a manifest."""
    # Without its comments, which make the address three times as long.
    return f"https://api.slack.com/apps?new_app=1&manifest_yaml={quote(_COMMENT.sub('', manifest), safe='')}"


_T = TypeVar("_T")
_Counted = tuple["Queue", int | None]

KEY, ENDPOINT, WORKSPACE = "LANGSMITH_API_KEY", "LANGSMITH_ENDPOINT", "LANGSMITH_WORKSPACE_ID"
TOKEN, QUEUES, CHANNEL = "SLACK_BOT_TOKEN", "WORKER_QUEUES", "WORKER_CHANNEL"
ZONE, HOURS, HOLIDAYS = "WORKER_ZONE", "WORKER_HOURS", "WORKER_HOLIDAYS"
NEEDED = {KEY: "--key", TOKEN: "--token", QUEUES: "--queues", CHANNEL: "--channel"}
"""The answers without which nothing works, with their options."""

USUAL_HOURS = "Mon-Fri 09:00-17:00"
_NOTHING = {HOURS: "always", HOLIDAYS: "none", ZONE: ""}
"""The answers that set nothing."""

BOT = "review-notifier"


class UnprovenError(Exception):
    """An answer does not hold, and there is no one to ask for another; `str()` says which and why."""


class Dialog(Struct):
    """The answers so far by the names of their settings, and the chosen queues, names by ids (empty: all).

    `asker` is None where there is no one to ask: the answers are tried all the same.
    """

    answers: dict[str, str]
    asker: Asker | None
    queues: dict[str, str] = field(default_factory=dict)
    _bot: str = BOT

    def hold(self) -> None:
        """Get every answer that is missing, and try all. Raises UnprovenError, and what the asker raises."""
        self._say("Each answer is tried at once. Nothing is written before the last one; Ctrl-C ends it.")
        self._choose_queues(self._prove_key())
        self._choose_channel(self._prove_token())
        self._choose_hours()

    def _prove_key(self) -> Sequence[_Counted]:
        self._say("", "1. LangSmith: an API key (Settings, API keys; the role Workspace Viewer is enough).")
        found = self._proven(KEY, self._secret("   Key"), lambda: init_proof.seen_queues(self.answers))
        if found is None:
            return ()
        queues, whose = found
        self._say(f"   The key can see {len(queues)} {'queue' if len(queues) == 1 else 'queues'}; {whose}.")
        return queues

    def _choose_queues(self, counted: Sequence[_Counted]) -> None:
        rows = [(queue.name, "" if count is None else f"{count:,} waiting") for queue, count in counted]
        self._say("", "2. The queues to watch.", *numbered(rows))
        ask = self._plain("   Numbers, names or ids, separated by commas", ALL_QUEUES)
        queues = [queue for queue, _ in counted]
        self.queues = self._proven(QUEUES, ask, lambda: chosen_queues(self.answers[QUEUES], queues)) or {}
        self.answers[QUEUES] = ",".join(self.queues) or ALL_QUEUES

    def _prove_token(self) -> Sequence[Channel] | None:
        self._say(
            "",
            "3. Slack: the app's Bot User OAuth Token (https://api.slack.com/apps, OAuth & Permissions).",
            "   No app yet? Press Enter for the link that creates it.",
        )
        found = self._proven(TOKEN, self._token, lambda: init_proof.seen_channels(self.answers))
        if found is None:
            return None
        identity, channels = found
        self._bot = identity.user or BOT
        self._say(f"   The app is {identity.user} in {identity.team}.")
        return channels

    def _token(self) -> str:
        ask = self._secret("   Token")
        while not (answer := ask()):
            self._say(
                "   Open this link, choose the workspace, press Create, then Install to Workspace:",
                f"   {manifest_link(found_files('manifest')[0][0].text())}",
                "   Then copy the Bot User OAuth Token, under OAuth & Permissions.",
            )
        return answer

    def _choose_channel(self, channels: Sequence[Channel] | None) -> None:
        entered = [channel for channel in channels or () if channel.is_member]
        rows = [(f"#{channel.name}", channel.channel_id) for channel in entered]
        self._say("", "4. The channel to post to.", *(numbered(rows) or [self._no_channel(channels)]))
        ask = self._plain("   Number, name or id", rows[0][0] if len(rows) == 1 else "")
        channel = self._proven(CHANNEL, ask, lambda: self._channel(entered, channels or ()))
        if channel is not None:
            self.answers[CHANNEL] = channel.channel_id
            self._say(f"   #{channel.name} ({channel.channel_id}).")

    def _no_channel(self, channels: Sequence[Channel] | None) -> str:
        if channels is None:
            return "   The channels cannot be listed; a channel's details end with its id."
        return f"   The app is in none yet. In the channel that you want, send: /invite @{self._bot}"

    def _channel(self, numbers: Sequence[Channel], every: Sequence[Channel]) -> Channel | None:
        self.answers[CHANNEL] = chosen_channel(self.answers[CHANNEL], numbers, every)
        try:
            channel = init_proof.seen_channel(self.answers)
        except DeliveryError as error:
            if error.code != CHANNEL_NOT_FOUND or not (meant := did_you_mean_channel(self.answers[CHANNEL], every)):
                raise
            raise ChoiceError(f"{error} ({meant.strip()})") from None
        if channel is not None and channel.is_archived:
            raise ChoiceError(f"#{channel.name} is archived; choose another")
        if channel is not None and not channel.is_member:
            raise ChoiceError(f"the app is not in #{channel.name}; send /invite @{self._bot} there, then try again")
        return channel

    def _choose_hours(self) -> None:
        self._say("", "5. When the team works. Messages come only then, and what falls due outside waits.")
        self._set(HOURS, "   Hours, or always", USUAL_HOURS)
        self._set(HOLIDAYS, "   Public holidays of a country or a part of one (DE-BE, FR, US), or none", "none")
        if self.answers.keys() & {HOURS, HOLIDAYS, ZONE}:
            self._set(ZONE, "   Time zone", init_proof.machine_zone() or "UTC")

    def _set(self, name: str, question: str, proposed: str) -> None:
        """A setting that needs no service; without anybody to ask it is set where it was given."""
        ask = self._plain(question, proposed) if self.asker else (lambda: _NOTHING[name])
        if name == ZONE and self.asker is None:
            ask = init_proof.machine_zone
        self._proven(name, ask, lambda: self._try_setting(name))

    def _try_setting(self, name: str) -> None:
        if self.answers[name].casefold() == _NOTHING[name]:
            del self.answers[name]
        init_proof.try_hours(self.answers)

    def _proven(self, name: str, ask: Callable[[], str], prove: Callable[[], _T]) -> _T | None:
        """What an answer proves; None where it is kept although the service is not reached. Raises UnprovenError."""
        while True:
            if name not in self.answers:
                self.answers[name] = ask().strip("\"'")
            try:
                return prove()
            except (ConfigError, SourceError, DeliveryError, ChoiceError) as error:
                if self.asker is None:
                    raise UnprovenError(f"{NEEDED[name]}: {error}" if name in NEEDED else str(error)) from None
                if self._is_kept(self.asker, name, error):
                    return None

    def _is_kept(self, asker: Asker, name: str, error: Exception) -> bool:
        """Say what is wrong and forget the answer, unless it is to be kept."""
        asker.say(*(f"   {line}" for line in f"That does not work: {str(error).rstrip('.')}.".split("\n")))
        if _is_outage(error) and asker.confirm("   Keep this answer although it could not be checked?", default=False):
            return True
        del self.answers[name]
        if name == KEY:
            self._ask_where(asker, error)
        return False

    def _ask_where(self, asker: Asker, error: Exception) -> None:
        """A key that is refused may belong to another region, or to a whole organisation."""
        if isinstance(error, SourceError) and error.trouble is Trouble.REFUSED:
            self._take(ENDPOINT, asker.ask("   API root of another region or of a server of your own, else Enter"))
            self._take(WORKSPACE, asker.ask("   The workspace's id, where the key is an organisation's, else Enter"))
        elif str(error).startswith((ENDPOINT, WORKSPACE)) or isinstance(error, SourceError):
            self._take(ENDPOINT, asker.ask("   LangSmith's API root", "https://api.smith.langchain.com"))

    def _take(self, name: str, answer: str) -> None:
        if answer:
            self.answers[name] = answer

    def _say(self, *lines: str) -> None:
        if self.asker:
            self.asker.say(*lines)

    def _secret(self, question: str) -> Callable[[], str]:
        return lambda: self.asker.secret(question) if self.asker else ""

    def _plain(self, question: str, proposed: str) -> Callable[[], str]:
        return lambda: self.asker.ask(question, proposed) if self.asker else ""


def _is_outage(error: Exception) -> bool:
    """Whether the service was not reached, which says nothing about the answer."""
    if isinstance(error, SourceError):
        return error.trouble in {Trouble.UNREACHABLE, Trouble.THROTTLED, Trouble.MISSING, Trouble.UNLAWFUL}
    return isinstance(error, DeliveryError) and error.outcome in {Outcome.RETRY, Outcome.UNKNOWN, Outcome.THROTTLED}
