"""People in Slack: who has an e-mail, who a user id is, and which user groups there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from worker.core.audience import Problem
from worker.core.directory import Account
from worker.core.ports import DeliveryError
from worker.notifiers.slack.errors import objects

if TYPE_CHECKING:
    from collections.abc import Mapping

    from worker.notifiers.slack.notifier import Slack

_NOBODY = frozenset({"users_not_found", "user_not_found", "user_not_visible"})


class SlackPeople:
    """The Accounts of Slack. Thread-safe. Raises DeliveryError, which names no e-mail."""

    def __init__(self, slack: Slack) -> None:
        self._slack = slack

    def by_email(self, email: str) -> Account | None:
        """See `Accounts.by_email`."""
        return self._look_up("users.lookupByEmail", email=email)

    def by_id(self, user: str) -> Account | None:
        """See `Accounts.by_id`."""
        return self._look_up("users.info", user=user)

    def groups(self) -> Mapping[str, bool]:
        """Every user group by its id, and whether it is switched on."""
        response = self._slack.ask("usergroups.list", include_disabled="true")
        return {str(group.get("id", "")): not group.get("date_delete") for group in objects(response.get("usergroups"))}

    def _look_up(self, method: str, **asked: str) -> Account | None:
        try:
            found = self._slack.ask(method, **asked).get("user")
        except DeliveryError as error:
            if error.code in _NOBODY:
                return None
            raise
        return account(found) if isinstance(found, dict) and found.get("id") else None


def account(raw: Mapping[str, Any]) -> Account:
    """The account that a user of Slack's answers is."""
    profile = raw.get("profile")
    names = profile if isinstance(profile, dict) else {}
    name = str(names.get("display_name") or names.get("real_name") or raw.get("real_name") or raw.get("name") or "")
    return Account(str(raw["id"]), name, _problem(raw))


def _problem(raw: Mapping[str, Any]) -> Problem:
    # Who has left may also be a guest; a bot may also be deleted: the stronger reason first.
    if raw.get("deleted"):
        return Problem.LEFT
    if raw.get("is_bot"):
        return Problem.BOT
    return Problem.GUEST if raw.get("is_restricted") or raw.get("is_ultra_restricted") else Problem.NONE
