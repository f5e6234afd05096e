"""What the app shows one person alone: answers where they pressed or wrote, and the app's own page."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from worker.core.ports import DeliveryError, Outcome
from worker.notifiers.slack import markup

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from worker.notifiers.slack.notifier import Slack

_LONGEST = 2_900
"""Characters of an answer, below Slack's limit for one text."""


class SlackAnswers:
    """The Answers of Slack. Thread-safe. Raises DeliveryError."""

    def __init__(self, slack: Slack) -> None:
        """`slack` has the bot's token."""
        self._slack = slack

    def ephemeral(self, place: str, user: str, text: str, *, thread: str = "") -> None:
        """See `Answers.ephemeral`. In a channel that the app is not in it is a direct message instead."""
        lines = text[:_LONGEST].split("\n")
        shown = "\n".join(markup.bare(line, _LONGEST) for line in lines)
        fields = {"text": shown[:_LONGEST], "blocks": json.dumps([_section(lines)])}
        try:
            reply = {"thread_ts": thread} if thread else {}
            self._slack.ask("chat.postEphemeral", channel=place, user=user, **fields, **reply)
        except DeliveryError as error:
            # A command can be written anywhere; without an answer it would seem to have failed.
            if error.outcome is not Outcome.DESTINATION:
                raise
            self._slack.ask("chat.postMessage", channel=user, **fields)

    def publish(self, user: str, blocks: Sequence[Mapping[str, Any]]) -> None:
        """Replace the page that a person sees in the app's home tab."""
        self._slack.ask("views.publish", user_id=user, view=json.dumps({"type": "home", "blocks": list(blocks)}))


def _section(lines: Sequence[str]) -> dict[str, Any]:
    # Plain text: there is nothing in it that any client could take for markup, a mention or a link.
    text = "\n".join(markup.title(line, _LONGEST) for line in lines)
    return {"type": "section", "text": {"type": "plain_text", "text": text, "emoji": False}}
