"""What the settings may say of filters: `only`, `skip` and `order` of a queue.

As in `values.py`, a parser raises ValueError with the rest of a sentence that begins with the value.
"""

from __future__ import annotations

import math
import re
import tomllib
from typing import TYPE_CHECKING

from worker.core.filters import COMPARISONS, Conditions, Order, Score
from worker.settings.names import did_you_mean
from worker.settings.values import one_line_list

if TYPE_CHECKING:
    from collections.abc import Mapping

EXAMPLE = '{ tags = ["prod"], error = true }'
_KEYS = ("tags", "run_type", "error", "name", "feedback")
# The longest comparison first, or `<=` would be read as `<`.
_SCORE = re.compile(rf"(.+?)\s*({'|'.join(sorted(COMPARISONS, key=len, reverse=True))})\s*(\S+)")


def conditions(value: object) -> Conditions:
    """A table of conditions, such as `{ tags = ["prod"], error = true }`; the same as text in the environment.

    All that are given have to hold.
    """
    value = _table(value) if isinstance(value, str) else value
    if not isinstance(value, dict):
        raise ValueError(f"is not a table of conditions; write one such as {EXAMPLE}")  # noqa: TRY004
    for key in value:
        if key not in _KEYS:
            known = did_you_mean(str(key), _KEYS) or f"; known are {', '.join(_KEYS)}"
            raise ValueError(f"has a condition {str(key)!r}, which is none{known}")
    return Conditions(
        tags=_texts(value, "tags"),
        run_type=tuple(kind.lower() for kind in _texts(value, "run_type")),
        error=_error(value.get("error")),
        name=_texts(value, "name"),
        feedback=tuple(_score(text) for text in _texts(value, "feedback")),
    )


def order(value: object) -> tuple[Order, ...]:
    """What messages list first, such as `["feedback", "error", "age"]`."""
    words = one_line_list(value)
    try:
        found = tuple(Order(word.lower()) for word in words)
    except ValueError:
        raise ValueError(f"has a word that is none of {', '.join(Order)}; write some of them") from None
    if len(set(found)) < len(found):
        raise ValueError("names one twice; write each once")
    return found


def _table(text: str) -> object:
    try:
        found = tomllib.loads(f"given = {text}")
    except (tomllib.TOMLDecodeError, RecursionError):
        return None
    # Text with line breaks may define more than what was asked for.
    return found["given"] if found.keys() == {"given"} else None


def _texts(table: Mapping[str, object], key: str) -> tuple[str, ...]:
    given = table.get(key)
    if given is None:
        return ()
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text.strip() for text in texts):
        raise ValueError(f'has a {key} that is neither a text nor a list of texts; write one such as {key} = ["…"]')
    return tuple(text.strip() for text in texts)


def _error(given: object) -> bool | None:
    if given is not None and not isinstance(given, bool):
        raise ValueError("has an error that is neither true nor false; write one of them")
    return given


def _score(text: str) -> Score:
    found = _SCORE.fullmatch(text)
    number = _number(found[3]) if found else None
    if found is None or number is None:
        raise ValueError(f"has a feedback {text!r} that is not a comparison; write one such as user_score < 0.5")
    return Score(found[1], found[2], number)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    # float() also reads nan, with which nothing compares, and inf.
    return number if math.isfinite(number) else None
