"""The `test` command: a message comes and goes in each channel; LangSmith, hours and the database are not asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker import process
from worker.clock import SystemClock
from worker.commands import tables
from worker.commands.startup import slack, start
from worker.core.ports import ConfigError
from worker.notifiers.slack.trial import prove
from worker.settings import Need
from worker.settings.values import channel_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from worker.core.owed import Destination
    from worker.settings import Settings
    from worker.settings.model import PerQueue

_SLACK_ALONE = frozenset({Need.SLACK})


class PlaceError(ValueError):
    """What was given is no channel; `str()` says what one looks like."""


def test(given: Iterable[str], *, as_json: bool) -> bool:
    """Prove the rights in the channels that are given, else in all that the settings name; whether none is missing."""
    places = [_place(text) for text in given]
    settings = start(_SLACK_ALONE)
    places = places or list(dict.fromkeys(channels_set(settings)))
    if not places:
        raise ConfigError("WORKER_CHANNEL: is missing; set the id of the Slack channel to post to, or give --channel")
    with slack(settings) as notifier:
        found = list(prove(notifier, places, SystemClock(), process.STOP.wait))
    if as_json:
        tables.print_json(tables.findings_json(found))
    else:
        tables.print_findings(found)
    return all(finding.ok for finding in found)


def _place(text: str) -> Destination:
    try:
        return channel_value(text)
    except ValueError as error:
        raise PlaceError(f"{text!r} {error}") from None


def channels_set(settings: Settings) -> Iterator[Destination]:
    """Every channel to which the settings alone may send something, whatever queues there are."""
    has_defaults = settings.all_queues or not settings.queues
    for queue in (*settings.queues, *([settings.defaults] if has_defaults else [])):
        yield from (place for place in (queue.channel, _escalating(queue)) if place and place.place)
    if settings.ops_channel:
        yield settings.ops_channel


def _escalating(queue: PerQueue) -> Destination | None:
    return queue.escalate_to if queue.escalate_after else None
