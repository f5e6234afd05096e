"""Slack's answers: how they are read, and the outcome that each error code leads to. Pure."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from worker.core.owed import Receipt
from worker.core.ports import DeliveryError, Outcome
from worker.core.text import flat
from worker.net.failures import FailureKind
from worker.net.response import retry_after

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from slack_sdk.errors import SlackApiError
    from slack_sdk.web.slack_response import SlackResponse


class NoAnswer(Exception):  # noqa: N818 - it is named for what is known
    """No HTTP answer came. `may_be_done` says whether the request may have reached Slack all the same."""

    def __init__(self, kind: FailureKind, text: str, *, may_be_done: bool) -> None:
        """Keep the kind of failure, and a text in our own words."""
        super().__init__(text)
        self.kind = kind
        self.may_be_done = may_be_done


class Doing(StrEnum):
    """The act that was answered; the same error can mean something else for each."""

    SEND = "send"
    FIND = "find"
    EDIT = "edit"
    OPEN = "open"  # a conversation with one person: until it is open nothing can be posted
    ASK = "ask"  # reads that settle nothing: who am I, which channel is this


THREAD_GONE = frozenset(
    {
        "cannot_reply_to_message",
        "invalid_thread_ts",
        "message_not_found",
        "restricted_action_non_threadable_channel",
        "restricted_action_thread_locked",
        "thread_not_found",
    }
)
"""Errors of a reply that a post in the channel itself does not have."""

_GROUPS: Mapping[Outcome, str] = {
    Outcome.THROTTLED: "ratelimited rate_limited message_limit_exceeded",
    Outcome.UNKNOWN: "fatal_error internal_error",
    Outcome.RETRY: (
        "service_unavailable request_timeout team_added_to_org org_login_required update_failed "
        "external_channel_migrating channel_migrating"
    ),
    Outcome.MESSAGE: (
        "as_user_not_supported attachment_payload_limit_exceeded block_mismatch cannot_reply_to_message "
        "duplicate_channel_not_found duplicate_message_not_found invalid_arg_name invalid_arguments invalid_array_arg "
        "invalid_attachments invalid_charset invalid_form_data invalid_json invalid_post_type invalid_thread_ts "
        "json_not_object markdown_text_conflict missing_post_type msg_blocks_too_long msg_too_long "
        "must_be_valid_metadata no_text "
        "slack_connect_blocked_file_type slack_connect_canvas_sharing_blocked slack_connect_clip_sharing_blocked "
        "slack_connect_file_link_sharing_blocked slack_connect_file_upload_sharing_blocked "
        "slack_connect_lists_sharing_blocked thread_not_found too_many_attachments too_many_contact_cards "
        "unfurl_limit_exceeded"
    ),
    Outcome.DESTINATION: (
        "access_denied cannot_dm_bot channel_is_limited_access channel_not_found channel_type_not_supported "
        "ekm_access_denied is_archived messages_tab_disabled method_not_supported_for_channel_type no_permission "
        "not_in_channel posting_to_channel_denied team_not_found user_disabled user_not_found user_not_in_channel "
        "user_not_visible"
    ),
    Outcome.TOKEN: (
        "access_restricted accesslimited account_inactive deprecated_endpoint enterprise_is_restricted "
        "free_team_not_allowed invalid_auth method_deprecated missing_scope not_allowed_token_type not_authed "
        "plan_upgrade_required team_access_not_granted token_expired token_revoked two_factor_setup_required "
        "unknown_method user_is_bot user_is_restricted"
    ),
    Outcome.EDIT: (
        "cant_broadcast_message cant_update_message edit_window_closed is_inactive message_not_found "
        "no_dual_broadcast_content_update streaming_state_conflict"
    ),
}
_OUTCOMES = {code: outcome for outcome, codes in _GROUPS.items() for code in codes.split()}
_FAMILIES = (
    ("invalid_blocks", Outcome.MESSAGE),
    ("invalid_metadata_", Outcome.MESSAGE),
    ("metadata_", Outcome.MESSAGE),
    ("restricted_action", Outcome.DESTINATION),
)
_STATUSES = {400: Outcome.RETRY, 408: Outcome.RETRY, 413: Outcome.MESSAGE, 429: Outcome.THROTTLED}

# Only a send can be made twice; the others are repeated freely, so that for them "unknown" is just "not yet".
_SEEN_AS: Mapping[Doing, Mapping[Outcome, Outcome]] = {
    Doing.SEND: {Outcome.EDIT: Outcome.MESSAGE},
    Doing.FIND: {
        Outcome.UNKNOWN: Outcome.RETRY,
        Outcome.MESSAGE: Outcome.BLIND,
        Outcome.DESTINATION: Outcome.BLIND,
        Outcome.EDIT: Outcome.RETRY,
    },
    Doing.EDIT: {Outcome.UNKNOWN: Outcome.RETRY},
    Doing.OPEN: {Outcome.UNKNOWN: Outcome.RETRY, Outcome.MESSAGE: Outcome.DESTINATION, Outcome.EDIT: Outcome.RETRY},
    Doing.ASK: {Outcome.UNKNOWN: Outcome.RETRY, Outcome.MESSAGE: Outcome.RETRY, Outcome.EDIT: Outcome.RETRY},
}
_NOT_GRANTED = frozenset({"missing_scope", "not_allowed_token_type", "unknown_method"})

_FIXES: Mapping[str, str] = {
    "account_inactive": "the app's user is deactivated: reinstall the app and set SLACK_BOT_TOKEN again",
    "cannot_dm_bot": "this is a bot's own direct message: name a channel",
    "channel_not_found": "check the channel's id, and invite the app if it is private",
    "invalid_auth": "SLACK_BOT_TOKEN is not valid: copy it again from the app's settings",
    "is_archived": "unarchive the channel, or name another",
    "messages_tab_disabled": "turn the app's messages tab on",
    "missing_scope": "add the scope to the app and reinstall it",
    "no_permission": "ask a workspace administrator to let the app post there",
    "not_allowed_token_type": "SLACK_BOT_TOKEN must be a bot token (xoxb-…)",
    "not_authed": "SLACK_BOT_TOKEN is empty",
    "not_in_channel": "invite the app to the channel",
    "redirect": "check SLACK_BASE_URL: redirects are not followed, the token would travel along",
    "restricted_action": "ask a workspace administrator to let the app post there",
    "token_expired": "SLACK_BOT_TOKEN has expired: reinstall the app and set it again",
    "token_revoked": "SLACK_BOT_TOKEN was revoked: reinstall the app and set it again",
    "unknown_method": "check SLACK_BASE_URL",
    "user_disabled": "the person's account is deactivated",
}

WAY = "see Slack's status page, and this machine's way to it"
WAYS: Mapping[str, str] = {
    FailureKind.CERTIFICATE: "name the file with the certificate of your proxy or authority in SSL_CERT_FILE",
    FailureKind.TLS: "check SLACK_BASE_URL, and any proxy in between",
    FailureKind.PROXY: "check HTTPS_PROXY, or name Slack's host in NO_PROXY",
}


def class_error(doing: Doing, exc: SlackApiError, now: datetime, *, channel: str = "") -> DeliveryError:
    """Class an HTTP answer other than `ok`."""
    response = exc.response
    code = _code(response.status_code, response.data)
    return DeliveryError(
        _text(code, response.data, channel),
        _seen_as(doing, code, _outcome(response.status_code, code)),
        code=code,
        retry_after=retry_after(response.headers, now),
    )


def unanswered(doing: Doing, exc: NoAnswer) -> DeliveryError:
    """Class a request that got no answer."""
    outcome = Outcome.UNKNOWN if exc.may_be_done else Outcome.RETRY
    text = f"Slack did not answer: {exc}; {WAYS.get(exc.kind, WAY)}"
    return DeliveryError(
        f"Slack was not asked: {exc}" if exc.kind is FailureKind.TOO_LATE else text,
        _seen_as(doing, exc.kind, outcome),
        code=exc.kind.value,
    )


def _outcome(status: int, code: str) -> Outcome:
    # Before the code: behind a 5xx the post may have been made, whatever the body says.
    if status >= 500:  # noqa: PLR2004 - HTTP's own number
        return Outcome.UNKNOWN
    if status == 429:  # noqa: PLR2004 - HTTP's own number
        return Outcome.THROTTLED
    if code in _OUTCOMES:
        return _OUTCOMES[code]
    family = next((outcome for prefix, outcome in _FAMILIES if code.startswith(prefix)), None)
    return family or _outcome_of_status(status, code)


def _outcome_of_status(status: int, code: str) -> Outcome:
    if status < 300:  # noqa: PLR2004 - HTTP's own number
        return Outcome.RETRY if code not in {"not_json", "no_error"} and status == 200 else Outcome.UNKNOWN  # noqa: PLR2004
    return _STATUSES.get(status, Outcome.RETRY)


def _seen_as(doing: Doing, code: str, outcome: Outcome) -> Outcome:
    if doing is Doing.FIND and code in _NOT_GRANTED:
        return Outcome.BLIND
    # Without this right the channels are posted to all the same.
    if doing is Doing.OPEN and code in _NOT_GRANTED:
        return Outcome.DESTINATION
    return _SEEN_AS[doing].get(outcome, outcome)


def _code(status: int, body: Mapping[str, Any]) -> str:
    if 300 <= status < 400:  # noqa: PLR2004 - HTTP's own numbers
        return "redirect"
    code = str(body.get("error", ""))
    # The body may come from a proxy: anything that does not look like a code of Slack is not repeated.
    if re.fullmatch(r"[A-Za-z0-9_.-]{1,80}", code):
        return code
    if status != 200:  # noqa: PLR2004 - HTTP's own number
        return f"http_{status}"
    return "no_error" if body else "not_json"


def _text(code: str, body: Mapping[str, Any], channel: str) -> str:
    where = f" for channel {flat(channel, 80)}" if channel else ""
    family = "restricted_action" if code.startswith("restricted_action") else code
    fix = _FIXES.get(family, "")
    return f"Slack answered {code}{where}{_details(body)}" + (f": {fix}" if fix else "")


def _details(body: Mapping[str, Any]) -> str:
    """The scope that is missing, or the place of a mistake in the blocks; outside text, so flattened and cut."""
    needed = flat(str(body.get("needed", "")), 80)
    metadata = body.get("response_metadata")
    messages = metadata.get("messages") if isinstance(metadata, dict) else None
    joined = "; ".join(str(message) for message in messages[:3]) if isinstance(messages, list) else ""
    said = [f"needs {needed}" if needed else "", flat(joined, 300)]
    return "".join(f" ({part})" for part in said if part)


class BotIdentity(Struct, frozen=True):
    """The team and the bot user of a token. `scopes` is None where Slack did not list them."""

    team: str
    team_id: str
    url: str
    user: str
    user_id: str
    bot_id: str
    scopes: frozenset[str] | None


class Channel(Struct, frozen=True):
    """A channel as the app sees it."""

    channel_id: str
    name: str
    is_member: bool
    is_archived: bool
    is_private: bool


def bot_identity(response: SlackResponse) -> BotIdentity:
    """The team and the bot user of a token, from `auth.test`."""
    return BotIdentity(
        team=str(response.get("team", "")),
        team_id=str(response.get("team_id", "")),
        url=str(response.get("url", "")),
        user=str(response.get("user", "")),
        user_id=str(response.get("user_id", "")),
        bot_id=str(response.get("bot_id", "")),
        scopes=_scopes(response.headers),
    )


def receipt(response: SlackResponse) -> Receipt:
    """The channel and timestamp of a post. Raises DeliveryError where an `ok` lacks them."""
    place, ts = response.get("channel"), response.get("ts")
    # Unknown, not refused: an ok means that the message is probably posted, only not where.
    if not (isinstance(place, str) and isinstance(ts, str) and place and ts):
        raise DeliveryError("Slack answered ok, but not which message it posted", Outcome.UNKNOWN, code="no_ts")
    return Receipt(channel=place, ts=ts)


def is_id(channel: str) -> bool:
    """Whether this is the id of a channel, not a name."""
    return re.fullmatch(r"[CG][A-Z0-9]{6,}", channel) is not None


def is_user(place: str) -> bool:
    """Whether this is the id of a user, to whom messages go directly."""
    return re.fullmatch(r"[UW][A-Z0-9]+", place) is not None


def is_own_message(found: dict[str, Any], me: BotIdentity) -> bool:
    """Whether this app has written a message."""
    by_bot = bool(me.bot_id) and found.get("bot_id") == me.bot_id
    return by_bot or (bool(me.user_id) and found.get("user") == me.user_id)


def key(found: dict[str, Any]) -> str:
    """The delivery's key in a message's metadata; empty where there is none."""
    metadata = found.get("metadata")
    payload = metadata.get("event_payload") if isinstance(metadata, dict) else None
    return str(payload.get("delivery_key", "")) if isinstance(payload, dict) else ""


def seconds(found: dict[str, Any]) -> float:
    """The time at which a message was posted, in seconds since 1970; 0 where it has none."""
    try:
        return float(found.get("ts", 0))
    except (TypeError, ValueError):
        return 0.0


def next_cursor(response: SlackResponse) -> str:
    """The cursor of the next page; empty at the end."""
    metadata = response.get("response_metadata")
    return str(metadata.get("next_cursor") or "") if isinstance(metadata, dict) else ""


def objects(value: object) -> list[dict[str, Any]]:
    """The objects of a list, without anything else that is in it."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def channel_of(raw: dict[str, Any]) -> Channel:
    """A channel, from `conversations.info` or `conversations.list`."""
    return Channel(
        channel_id=str(raw.get("id", "")),
        name=str(raw.get("name", "")),
        is_member=bool(raw.get("is_member")),
        is_archived=bool(raw.get("is_archived")),
        is_private=bool(raw.get("is_private")),
    )


def _scopes(headers: dict[str, str]) -> frozenset[str] | None:
    listed = next((value for name, value in headers.items() if name.lower() == "x-oauth-scopes"), None)
    return None if listed is None else frozenset(scope.strip() for scope in listed.split(",") if scope.strip())
