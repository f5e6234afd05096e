"""Writes HTML in which every text is escaped, unless it was written here. Pure."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

from worker.core.text import flat, web_address

if TYPE_CHECKING:
    from collections.abc import Iterable

_LONGEST = 2_000
"""Characters of one text."""

_VOID = frozenset({"meta", "link", "input"})
"""Elements that have no content, so no end either."""

_DRAWN = frozenset({"rect", "polyline"})
"""Elements of a drawing without content: unless they end, all that follow would lie within them."""


class Html(Struct, frozen=True):
    """Finished HTML. Nothing else is ever taken as it is."""

    text: str


Content: TypeAlias = "Html | str | int | Iterable[Content] | None"
"""What an element may hold: a text is escaped, None is nothing."""


_Value: TypeAlias = "str | int | bool | None"


def element(tag: str, *content: Content, **attributes: _Value) -> Html:
    """An element. Of a name like `class_` or `aria_label` the blank is a hyphen and the last one goes.

    An attribute that is True stands alone, one that is None or False is left out.
    """
    shown = "".join(_attribute(name, value) for name, value in attributes.items())
    if tag in _DRAWN:
        return Html(f"<{tag}{shown}/>")
    inner = "" if tag in _VOID else f"{pieces(content).text}</{tag}>"
    return Html(f"<{tag}{shown}>{inner}")


def pieces(content: Content) -> Html:
    """Several pieces, one behind another."""
    return Html("".join(_pieces(content)))


def outward_link(url: str, label: Content, **attributes: _Value) -> Html:
    """A link to an address from outside; the label alone where that is none for a browser."""
    address = web_address(url)
    if not address:
        return pieces(label)
    return element("a", label, href=address, rel="noreferrer", **attributes)


def _pieces(content: Content) -> Iterable[str]:
    match content:
        case None:
            return
        case Html():
            yield content.text
        case str():
            yield _escaped(content)
        case int():
            yield f"{content:,}"
        case _:
            for each in content:
                yield from _pieces(each)


def _escaped(text: str) -> str:
    # One blank at either end stays: there a text goes on with another element.
    ends = (" " if text[:1] == " " else "", " " if text[-1:] == " " else "")
    return f"{ends[0]}{html.escape(flat(text, _LONGEST))}{ends[1]}"


def _attribute(name: str, value: _Value) -> str:
    if value is None or value is False:
        return ""
    written = name.rstrip("_").replace("_", "-")
    return f" {written}" if value is True else f' {written}="{html.escape(flat(str(value), _LONGEST))}"'
