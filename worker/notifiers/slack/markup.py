"""Makes text from outside harmless to Slack: no markup, no mention, no link of its own. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING

from worker.core.text import MARKED_PLACE, clock_time, flat, time_ago, web_address

if TYPE_CHECKING:
    from collections.abc import Callable

_ALIKE = str.maketrans({"*": "∗", "~": "∼", "`": "ˋ"})  # noqa: RUF001 - look-alikes that format nothing
_TITLE = str.maketrans({"<": "‹", ">": "›"})  # noqa: RUF001 - nothing that any client could parse
# What there is nothing of in most names needs no further look.
_FORMATS = re.compile("[*~`_:]")
_LINKS = re.compile("[.:@#]")
_LOOSE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
_SHORTCODE = re.compile(r":(?=[\w+'-]+:)")
_ADDRESS = re.compile(r"(?<=:)(?=//)|(?<=[@#])(?=[^\W\d])|(?<=\.)(?=[^\W\d_]{2})")
_WORD_JOINER = "\u2060"
_CHANNEL = re.compile(r"[CG][A-Z0-9]+")
_COMMANDS = "check|config|deliveries|migrate|people|poll|queues|run|runs|status|test|retry [0-9a-f-]{36}"
"""What of our commands reports name: none of these harms, even where outside text spells one."""

_OURS = re.compile(
    rf"{MARKED_PLACE.pattern}"
    rf"|`(?P<command>review-notifier (?:{_COMMANDS}))`"
    r"|(?P<instant>\b20\d\d-\d\d-\d\d \d\d:\d\d UTC)"
)
_FIRST_DATE, _LAST_DATE = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


def escape(text: str) -> str:
    """The text with the three characters that Slack reads as markup made entities."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def words(raw: str, limit: int) -> str:
    """Outside text within a mrkdwn object: flat, unformatted, escaped."""
    return escape(_unformatted(flat(raw, limit)))


def bare(raw: str, limit: int) -> str:
    """Outside text within a message's `text`, where nothing stops Slack from linking what looks like an address."""
    return _unlinked(words(raw, limit))


def title(raw: str, limit: int) -> str:
    """Outside text within a plain text object, which is shown as it is."""
    return flat(raw, limit).translate(_TITLE)


def code(raw: str, limit: int) -> str:
    """Outside text set as code; empty where nothing of it is visible."""
    text = escape(flat(raw, limit).translate(_ALIKE))
    return f"`{text}`" if text else ""


def own_report(raw: str, limit: int, *, words: Callable[[str, int], str]) -> str:
    """A report about the worker: commands of ours as code, instants as dates, marked channels as links; the rest words.

    What comes from outside is unmarked, and can be no code but the very command that we would write.
    """
    cut = raw if len(raw) <= limit else f"{raw[: limit - 1]}…"
    parts, at = [], 0
    for found in _OURS.finditer(cut):
        parts += [_kept_apart(cut[at : found.start()], words), _set(found, words)]
        at = found.end()
    return "".join([*parts, _kept_apart(cut[at:], words)]).strip()


def _kept_apart(text: str, words: Callable[[str, int], str]) -> str:
    """Words with the blanks around them, by which they stand apart from what comes before and after."""
    before, after = " " * text[:1].isspace(), " " * text[-1:].isspace()
    return f"{before}{shown}{after}" if (shown := words(text, len(text))) else before


def _set(found: re.Match[str], words: Callable[[str, int], str]) -> str:
    if command := found["command"]:
        return f"`{command}`"
    if (place := found["place"]) is not None:
        return f"<#{place}>" if _CHANNEL.fullmatch(place) else words(_signed(place), len(place) + 1)
    try:
        at = datetime.strptime(found["instant"], "%Y-%m-%d %H:%M UTC").replace(tzinfo=UTC)
    except ValueError:
        return words(found[0], len(found[0]))
    return moment(at, UTC, day=True)


def _signed(place: str) -> str:
    return place if place != place.lower() else f"#{place}"


def link(url: str, label: str) -> str:
    """A mrkdwn link to `url`, or the label alone where `url` is no usable target. `label` is outside text, flat."""
    # A bar would end the target and begin another label.
    shown = escape(_unformatted(label.replace("|", "¦")))
    aim = target(url)
    return f"<{aim}|{shown}>" if aim else shown


def target(url: str) -> str:
    """`url` percent-encoded and escaped; empty unless it is an http(s) address of moderate length."""
    return escape(web_address(url))


def ago(since: datetime, as_of: datetime) -> str:
    """The time from `since` to `as_of`, as a date that Slack keeps current where it can show one."""
    plain = time_ago(since, as_of)
    if not (_FIRST_DATE <= since <= as_of and since < _LAST_DATE):
        return plain
    return f"<!date^{int(since.timestamp())}^{{ago}}|{plain}>"


def moment(at: datetime, zone: tzinfo, *, day: bool = False, seconds: bool = False) -> str:
    """An instant as a date that Slack shows in the reader's zone; its fallback is in `zone`."""
    plain = clock_time(at, zone, day=day, seconds=seconds)
    if not _FIRST_DATE <= at < _LAST_DATE:
        return plain
    form = "{date_short_pretty} " * day + ("{time_secs}" if seconds else "{time}")
    return f"<!date^{int(at.timestamp())}^{form}|{plain}>"


def _unformatted(text: str) -> str:
    if not _FORMATS.search(text):
        return text
    alike = text.translate(_ALIKE)
    # Within a word an underscore formats nothing, and names are full of them.
    loose = _LOOSE.sub("ˍ", alike)
    return _SHORTCODE.sub("∶", loose)  # noqa: RUF001 - :shortcodes: would turn into pictures


def _unlinked(text: str) -> str:
    """The text with everything broken that looks like an address or a mention."""
    # A word joiner neither shows nor is read aloud.
    return _ADDRESS.sub(_WORD_JOINER, text) if _LINKS.search(text) else text
