"""The dues that a decision leaves: since when runs wait for each step, and when the next decision has to be made. Pure.

They are instants in microseconds since 1970, for all runs of a queue together, as `Moment.dues` gives them.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

from worker.core.instants import instant_at, microseconds
from worker.core.model import Entry, Kind
from worker.core.owed import NEVER

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from worker.core.model import Window
    from worker.core.policy import EscalationPolicy, Step


def dues_together(dues: list[list[int]], others: Sequence[Sequence[int] | None]) -> tuple[Sequence[int], ...]:
    """The dues of some runs, and those of the `others`, sorted."""
    if others:
        dues = [[*some, *(more or ())] for some, more in zip(dues, others, strict=True)]
    return tuple(array("q", sorted(some)) for some in dues)


def dues_without(dues: Sequence[int], some: Iterable[int]) -> Sequence[int] | None:
    """Sorted instants less some of them; None where one is not among them."""
    left = array("q", dues)
    for at in some:
        place = bisect_left(left, at)
        if place == len(left) or left[place] != at:
            return None
        del left[place]
    return left


def decides_at(
    dues: Iterable[Sequence[int]],
    policy: EscalationPolicy,
    window: Window | None,
    now: datetime,
    muted_until: datetime | None = None,
) -> datetime | None:
    """When an unchanged listing would change something: at the next step, or at the end of a window, act or mute."""
    new, _, *later, acted = dues
    if muted_until is not None and muted_until <= now:
        muted_until = None
    waits = zip([(step, again) for step in policy.steps[1:] for again in (False, True)], later, strict=True)
    # Going out rises with being due, and that with the begin of the wait: the first decides for all.
    goes_at = [
        step.goes_at(_unmuted(step, step.comes_at(instant_at(some[0]), again=again), muted_until))
        for (step, again), some in waits
        if some
    ]
    if new:
        soon = _announces_at(policy, window, now)
        goes_at.append(soon if muted_until is None else max(soon, policy.calendar.opens(muted_until)))
    # What has come already and did not go out is muted.
    goes_at += (instant_at(at) for at in acted[bisect_right(acted, microseconds(now)) :][:1])
    if acted and muted_until is not None:
        goes_at.append(muted_until)
    return min((at for at in goes_at if at < NEVER), default=None)


def _unmuted(step: Step, due_at: datetime, muted_until: datetime | None) -> datetime:
    """When a step is due that a mute may hold."""
    return due_at if muted_until is None or step.kind is Kind.ESCALATION else max(due_at, muted_until)


def _announces_at(policy: EscalationPolicy, window: Window | None, now: datetime) -> datetime:
    """When new runs that wait are announced, or looked at again: a message may be on its way that takes them in."""
    soon = policy.calendar.opens(now)
    if window is None or window.entry in {Entry.VOID, Entry.MERGE, Entry.UNSURE} or soon > now:
        return soon
    # What waits at an opening is announced then, whatever window is open.
    return max(min(policy.window_ends(window), policy.calendar.posting_again(now)), soon)
