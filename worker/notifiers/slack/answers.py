"""What the app shows one person alone: answers where they pressed or wrote, and the app's own page."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from worker.core.ports import DeliveryError, Outcome
from worker.notifiers.slack import markup
from worker.notifiers.slack.worklists import notice_blocks, worklist_blocks, worklist_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.core.worklist import Worklist
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
        shown = "\n".join(markup.bare(line, _LONGEST) for line in text[:_LONGEST].split("\n"))
        self._answer(place, user, shown[:_LONGEST], notice_blocks(text), thread)

    def show(self, place: str, user: str, worklist: Worklist, *, thread: str = "") -> None:
        """See `Answers.show`."""
        self._answer(place, user, worklist_text(worklist), worklist_blocks(worklist), thread)

    def publish(self, user: str, page: Worklist | str) -> None:
        """See `Answers.publish`."""
        blocks = notice_blocks(page) if isinstance(page, str) else worklist_blocks(page)
        self._slack.ask("views.publish", user_id=user, view=json.dumps({"type": "home", "blocks": blocks}))

    def _answer(self, place: str, user: str, text: str, blocks: Sequence[dict[str, Any]], thread: str) -> None:
        fields = {"text": text, "blocks": json.dumps(list(blocks))}
        try:
            reply = {"thread_ts": thread} if thread else {}
            self._slack.ask("chat.postEphemeral", channel=place, user=user, **fields, **reply)
        except DeliveryError as error:
            # A command can be written anywhere; without an answer it would seem to have failed.
            if error.outcome is not Outcome.DESTINATION:
                raise
            self._slack.ask("chat.postMessage", channel=user, **fields)
