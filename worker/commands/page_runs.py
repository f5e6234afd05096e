"""The runs that wait, as the page shows them: of their text only what a message may show, and what comes next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from worker.core.model import Show, shortened
from worker.core.policy import age_of
from worker.core.text import age, web_address
from worker.settings.names import ADVICE
from worker.web.shown import RunRow

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from worker.core.audience import Turns
    from worker.core.model import Facts, Review
    from worker.core.overview import Advice
    from worker.core.status.upcoming import Upcoming
    from worker.settings import PerQueue


def ladder_in_words(settings: PerQueue) -> Advice:
    """The durations of a queue's ladder themselves: who owns a queue need not know what the settings are called."""
    said = {key: getattr(settings, key) for key in ("stale_after", "remind_every", "escalate_after")}
    words: dict[str, Any] = {key: age(value) for key, value in said.items() if value is not None}
    return replace(ADVICE, **words)


def run_row(
    review: Review,
    turns: Turns,
    coming: Upcoming,
    *,
    show: Collection[Show],
    stale_before: datetime | None,
    now: datetime,
) -> RunRow:
    """One run, as far as `show` lets its text be shown."""
    said = review.acts
    return RunRow(
        queue_run_id=str(review.queue_run_id),
        run_id=str(review.run_id) if review.run_id else None,
        label=_label(review, show),
        url=web_address(review.facts.url),
        since=review.since,
        age_seconds=int(age_of(review, now).total_seconds()),
        overdue=stale_before is not None and review.since <= stale_before,
        reserved=review.reserved,
        waits_for=[each.name or each.user or "somebody without a name" for each in turns.of(review)],
        next_due_at=coming.due_at,
        next_why=coming.why,
        expires_at=review.expires_at,
        claimed_by=said.claimed_name if said.is_claimed else None,
        snoozed_until=said.snoozed_until,
        **_shown(review.facts, show),
    )


def _label(review: Review, show: Collection[Show]) -> str:
    """The name of a run, where it may be shown, else the beginning of its id."""
    if Show.NAME in show and review.facts.name:
        return review.facts.name
    return f"run {shortened(review.run_id)}" if review.run_id else str(review.queue_run_id)


_TEXTS = {
    Show.TYPE: "run_type",
    Show.TAGS: "tags",
    Show.ERROR: "error",
    Show.INPUTS_PREVIEW: "inputs_preview",
    Show.OUTPUTS_PREVIEW: "outputs_preview",
    Show.THREAD: "thread",
    Show.TOKENS: "tokens",
    Show.COST: "cost",
}
"""The facts of a run that may be shown beside its name, by the word that allows each."""


def _shown(facts: Facts, show: Collection[Show]) -> dict[str, Any]:
    return {key: getattr(facts, key) for allowed, key in _TEXTS.items() if allowed in show}
