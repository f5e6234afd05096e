"""Makes text from outside harmless to read and to post: one line, no hidden characters, no markup. Pure.

Whatever is cut is cut by characters, before it is escaped: half an entity would show.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlsplit

URL_LIMIT = 500
"""Characters of a link's target; a longer one is not linked."""

PILE_LIMIT = 3
"""Accents on one letter; no script needs more."""

_FILLERS = "\u115f\u1160\u2800\u3164\uffa0"  # letters and symbols that look like nothing
_KEPT_FORMATS = "\u200c\u200d"  # joiners: emoji and several scripts are spelled with them
_ALIKE = str.maketrans({"*": "∗", "~": "∼", "`": "ˋ"})  # noqa: RUF001 - look-alikes that format nothing
_TITLE = str.maketrans({"<": "‹", ">": "›"})  # noqa: RUF001 - nothing to parse, whoever might
_WORD_JOINER = "\u2060"
_FIRST_DATE, _LAST_DATE = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
_SAFE_IN_URL = "/?#[]@!$&'()+,;=:%-._"


def flat(raw: str, limit: int) -> str:
    """`raw` as one visible line of at most `limit` characters: no control, bidi or hidden ones, single spaces."""
    kept = "".join(_visible(char) for char in raw[: limit * 8])
    text = " ".join(_unpiled(kept).split())
    if not text.strip(_KEPT_FORMATS + " "):
        return ""
    return text if len(text) <= limit and len(raw) <= limit * 8 else text[: limit - 1].rstrip() + "…"


def escape(text: str) -> str:
    """The three characters that Slack reads as markup, as entities."""
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
    """Outside text set as code; empty where nothing is left of it."""
    text = escape(flat(raw, limit).translate(_ALIKE))
    return f"`{text}`" if text else ""


def link(url: str, label: str) -> str:
    """A mrkdwn link to `url`; the label alone where the target is not one to link to. `label` is outside text, flat."""
    shown = escape(_unformatted(label.replace("|", "¦")))
    aim = target(url)
    return f"<{aim}|{shown}>" if aim else shown


def target(url: str) -> str:
    """`url` percent-encoded and escaped; empty unless it is an http(s) address of moderate length."""
    try:
        # A tilde needs no encoding elsewhere; here it could end a struck line.
        parts, encoded = urlsplit(url), quote(url, safe=_SAFE_IN_URL).replace("~", "%7E")
    except ValueError:
        return ""
    # urlsplit overlooks blanks in front, which would make the link's target something else.
    is_web = encoded.lower().startswith(("http://", "https://"))
    if not is_web or not parts.hostname or "@" in parts.netloc or not parts.netloc.isascii():
        return ""
    return escape(encoded) if len(encoded) <= URL_LIMIT else ""


def age(wait: timedelta) -> str:
    """How long, in the largest unit that is full: `45 s`, `12 min`, `4 h`, `3 d`."""
    seconds = max(int(wait.total_seconds()), 0)
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def time_ago(since: datetime, as_of: datetime) -> str:
    """How long before `as_of`, in words."""
    return f"{age(as_of - since)} ago" if as_of - since >= timedelta(seconds=1) else "just now"


def ago(since: datetime, as_of: datetime) -> str:
    """How long before `as_of`, as a date that Slack keeps current where it can show one."""
    plain = time_ago(since, as_of)
    if not (_FIRST_DATE <= since <= as_of and since < _LAST_DATE):
        return plain
    return f"<!date^{int(since.timestamp())}^{{ago}}|{plain}>"


def _visible(char: str) -> str:
    category = unicodedata.category(char)
    if category == "Cf":
        return char if char in _KEPT_FORMATS else ""
    return " " if category in {"Cc", "Cs", "Cn", "Zl", "Zp", "Zs"} or char in _FILLERS else char


def _unpiled(text: str) -> str:
    """At most three accents on a letter: piled up, they paint over the lines above."""
    pile, kept = 0, []
    for char in text:
        pile = pile + 1 if unicodedata.combining(char) else 0
        kept.append(char if pile <= PILE_LIMIT else "")
    return "".join(kept)


def _unformatted(text: str) -> str:
    alike = text.translate(_ALIKE)
    # Within a word an underscore formats nothing, and names are full of them.
    loose = re.sub(r"(?<![^\W_])_|_(?![^\W_])", "ˍ", alike)
    return re.sub(r":(?=[\w+'-]+:)", "∶", loose)  # noqa: RUF001 - :shortcodes: would turn into pictures


def _unlinked(text: str) -> str:
    """Break what looks like an address or a mention with a character that neither shows nor is read aloud."""
    return re.sub(r"(?<=:)(?=//)|(?<=[@#])(?=[^\W\d])|(?<=\.)(?=[^\W\d_]{2})", _WORD_JOINER, text)
