"""The findings of `check` about people in Slack: the scopes, each reviewer, the owner, whom the settings mention."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

from worker.core.audience import Problem
from worker.core.overview import Finding
from worker.core.ports import DeliveryError
from worker.notifiers.slack.check import add_scope
from worker.notifiers.slack.people import SlackPeople

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from worker.core.directory import Account
    from worker.core.model import Reviewer
    from worker.notifiers.slack.notifier import Slack

READ, READ_EMAIL, WRITE, HISTORY, GROUPS = "users:read", "users:read.email", "im:write", "im:history", "usergroups:read"

REASONS: Mapping[Problem, tuple[str, str]] = {
    Problem.NOT_ASKED: ("was not looked up yet", "a running service does so within a minute"),
    Problem.NO_EMAIL: (
        "LangSmith shows no e-mail (a service account, or somebody whom the key may not see)",
        "a service needs nothing; set WORKER_OWNER to have its runs go to somebody",
    ),
    Problem.UNKNOWN: ("no Slack user is found", "write the Slack id as slack in a table of this e-mail under [people]"),
    Problem.LEFT: ("has left the Slack workspace", "take this reviewer out of LangSmith's queues"),
    Problem.BOT: ("is a bot in Slack", "write the Slack id of a person as slack under [people]"),
    Problem.GUEST: (
        "is a guest in Slack, who gets no direct messages",
        "set WORKER_OWNER, or WORKER_TELL=channel for the queue",
    ),
    Problem.REFUSED: ("Slack refuses direct messages of the app", "turn the app's messages tab on, or use the channel"),
    Problem.NO_SCOPE: ("the app may not look people up", f"add {READ} and {READ_EMAIL} to the app and reinstall it"),
    Problem.FORGOTTEN: ("is forgotten, so that nothing is kept", "write the e-mail under [people] to end that"),
}
"""Why a person is not reached, and the fix."""

MOST = 50
"""Reviewers that are looked up at once."""

WHAT_FOR = {
    READ_EMAIL: "no reviewer is found by e-mail: messages go out without mentions, and nobody gets direct ones",
    READ: "it cannot be seen who has left or is a guest",
    WRITE: "no direct message can be sent: the runs go to the channel",
    HISTORY: "a direct message whose answer was lost cannot be looked up, and WORKER_ON_UNKNOWN decides",
}
"""The scopes that people need, and what is missing without each."""


class Whom(Struct, frozen=True):
    """The people whom the settings mean.

    `reviewers` are looked up by e-mail, unless `corrected` has the Slack id of the e-mail. `unnotified` are the e-mails
    of those who are to get no notice. `mentions` are ids of people and user groups. `is_direct`: people are sent direct
    messages.
    """

    reviewers: tuple[Reviewer, ...] = ()
    corrected: Mapping[str, str] | None = None
    unnotified: frozenset[str] = frozenset()
    owners: tuple[str, ...] = ()
    mentions: tuple[str, ...] = ()
    is_direct: bool = False


def examine_people(slack: Slack, whom: Whom) -> Iterator[Finding]:
    """Check the scopes, then each person. Nothing where the token is bad: that is a finding of its own."""
    if not (whom.reviewers or whom.owners or whom.mentions or whom.is_direct):
        return
    try:
        scopes = slack.identity().scopes
    except DeliveryError:
        return
    yield from _scopes(scopes, whom)
    people = SlackPeople(slack)
    for reviewer in whom.reviewers[:MOST]:
        yield _reviewer(people, reviewer, whom)
    if more := whom.reviewers[MOST:]:
        text = (
            f"{len(more)} more were not looked up, as Slack answers {MOST} a minute; `review-notifier people` lists all"
        )
        yield Finding("reviewers", ok=True, text=text)
    for owner in whom.owners:
        yield _user(f"owner {owner}", partial(people.by_id, owner), is_direct=True, is_needed=True)
    for user in (one for one in whom.mentions if not one.startswith("S")):
        yield _user(f"mention {user}", partial(people.by_id, user), is_direct=False, is_needed=False)
    yield from _groups(people, [one for one in whom.mentions if one.startswith("S")])


def _scopes(scopes: frozenset[str] | None, whom: Whom) -> Iterator[Finding]:
    # None where Slack did not list them: what is missing shows in the look-ups then.
    needed = [
        *([READ_EMAIL, READ] if whom.reviewers else []),
        *([WRITE, HISTORY] if whom.is_direct or whom.owners else []),
    ]
    for scope in needed if scopes is not None else ():
        if scope not in (scopes or ()):
            yield Finding(f"slack scope {scope}", ok=False, text=f"is missing: {WHAT_FOR[scope]}", fix=add_scope(scope))


def _reviewer(people: SlackPeople, reviewer: Reviewer, whom: Whom) -> Finding:
    name = f"reviewer {reviewer.email or reviewer.name or reviewer.reviewer_id}"
    email = reviewer.email.casefold()
    if not email:
        return Finding(name, ok=True, text="; ".join(REASONS[Problem.NO_EMAIL]))
    if email in whom.unnotified:
        return Finding(name, ok=True, text="is not notified: tell = false under [people]")
    corrected = (whom.corrected or {}).get(email)
    if corrected:
        found = _user(name, partial(people.by_id, corrected), is_direct=whom.is_direct, is_needed=True)
        wrong = f"no Slack user has the id {corrected}"
        return (
            found
            if found.text != REASONS[Problem.UNKNOWN][0]
            else Finding(name, ok=False, text=wrong, fix="correct slack in the table of this e-mail under [people]")
        )
    return _user(name, partial(people.by_email, email), is_direct=whom.is_direct, is_needed=True)


def _user(name: str, look_up: Callable[[], Account | None], *, is_direct: bool, is_needed: bool) -> Finding:
    """A finding about one user; what cannot be proven is only said where it is not needed otherwise."""
    try:
        account = look_up()
    except DeliveryError as error:
        if error.code == "missing_scope" and not is_needed:
            return Finding(name, ok=True, text=f"cannot be verified: the app has no {READ} (nothing else needs it)")
        if error.code == "missing_scope":
            return Finding(name, ok=False, text="cannot be looked up", fix=REASONS[Problem.NO_SCOPE][1])
        return Finding(name, ok=False, text=f"was not looked up: {error}", fix="try again later")
    problem = account.problem if account else Problem.UNKNOWN
    shown = f"{account.user} ({account.name})" if account else ""
    if problem is Problem.NONE or (problem is Problem.GUEST and not is_direct):
        return Finding(name, ok=True, text=shown)
    text, fix = REASONS[problem]
    return Finding(name, ok=False, text=f"{shown} {text}".strip(), fix=_fix(name, fix))


def _fix(name: str, fix: str) -> str:
    """The fix for a reviewer, or for an id of the settings."""
    setting = {"owner": "WORKER_OWNER", "mention": "WORKER_ESCALATE_MENTION"}.get(name.partition(" ")[0])
    return f"set {setting} (or the key of the queue's table) to the id of somebody who is there" if setting else fix


def _groups(people: SlackPeople, wanted: Iterable[str]) -> Iterator[Finding]:
    named = list(wanted)
    if not named:
        return
    try:
        groups = people.groups()
    except DeliveryError as error:
        why = f"the app has no {GROUPS} (nothing else needs it)" if error.code == "missing_scope" else str(error)
        for group in named:
            yield Finding(f"mention {group}", ok=True, text=f"cannot be verified: {why}")
        return
    for group in named:
        if groups.get(group):
            yield Finding(f"mention {group}", ok=True, text="a user group that is switched on")
        else:
            text = "is a user group that is switched off" if group in groups else "no user group has this id"
            yield Finding(f"mention {group}", ok=False, text=text, fix=_fix(f"mention {group}", ""))
