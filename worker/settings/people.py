"""What the settings may say of people: e-mails, Slack users, whose turn, and the table `[people]`.

As in `values.py`, a parser raises ValueError with the rest of a sentence that begins with the value.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, PlainValidator

from worker.core.audience import TURN, Audience, email_key
from worker.settings.names import did_you_mean
from worker.settings.values import boolean, mentions, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from worker.core.audience import WhoseTurn

_EMAIL = re.compile(r"[^\s@<>()\[\],;:\"\\]+@[^\s@<>()\[\],;:\"\\]+")
_WRAPPED = re.compile(rf"(?:[^<:@]*<|mailto:)({_EMAIL.pattern})>?", re.IGNORECASE)
_USER = re.compile(r"[UW][A-Z0-9]+", re.ASCII)
_ALMOST_USER = re.compile(r"<?@?([UW][A-Z0-9]{6,12})(?:\|[^>]*)?>?", re.ASCII | re.IGNORECASE)
_GROUP = re.compile(r"S[A-Z0-9]{6,}", re.ASCII)
_PLACE = re.compile(r"[CGD][A-Z0-9]{6,}", re.ASCII)
_WHERE = "write the member id (U… or W…, in the menu of the person's profile)"


def email(value: object) -> str:
    """An e-mail, in the form in which two spellings of one are equal."""
    given = one_line(value)
    if not _EMAIL.fullmatch(given):
        raise ValueError(f"is not an e-mail address{_unwrapped(given)}; write one such as reviewer@example.com")
    return email_key(given)


def _unwrapped(given: str) -> str:
    """The e-mail in `Ada <ada@example.com>`; no other, because an address with a password looks like one, too."""
    inside = _WRAPPED.fullmatch(given)
    return f" (did you mean {inside[1]}?)" if inside else ""


def slack_user(value: object) -> str:
    """The Slack id of one person."""
    given = one_line(value)
    if _USER.fullmatch(given):
        return given
    if _GROUP.fullmatch(given):
        raise ValueError(f"is a user group, not a person; {_WHERE}")
    if _PLACE.fullmatch(given):
        raise ValueError(f"is a channel or a conversation, not a person; {_WHERE}")
    inside = _ALMOST_USER.fullmatch(given)
    meant = f" (did you mean {inside[1].upper()}?)" if inside else ""
    raise ValueError(f"is not the Slack id of a person{meant}; {_WHERE}")


def whose_turn(value: object) -> WhoseTurn:
    """`assigned`, `nobody`, or a list of e-mails, each once."""
    # Address books copy lists with either sign between the e-mails.
    found = value if isinstance(value, list) else one_line(value).replace(",", ";").split(";")
    given = [one_line(part) for part in found if not isinstance(part, str) or part.strip()]
    if len(given) == 1 and given[0].casefold() in list(Audience):
        return Audience(given[0].casefold())
    if not given:
        return Audience.NOBODY
    return tuple(dict.fromkeys(_listed(part) for part in given))


def _listed(part: str) -> str:
    try:
        return email(part)
    except ValueError:
        meant = _unwrapped(part) or did_you_mean(part, list(Audience))
        raise ValueError(
            f"has {part!r}, which is not an e-mail address{meant}; "
            "write assigned, nobody, or e-mails such as reviewer@example.com"
        ) from None


def mentions_or_turn(value: object) -> tuple[str, ...]:
    """Slack ids as `mentions` has them; one of the words may be `turn`, which comes first."""
    found = value if isinstance(value, list) else one_line(value).split(",")
    is_turn = [isinstance(part, str) and part.strip().casefold() == TURN for part in found]
    others = [part for part, turn in zip(found, is_turn, strict=True) if not turn]
    return ((TURN,) if any(is_turn) else ()) + (mentions(others) if others else ())


class PersonTable(BaseModel):
    """The settings of one person: the fields are the keys of a table in `[people]`. What is left out is looked up."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    slack: Annotated[str, PlainValidator(slack_user)] = ""
    calendar: Annotated[str, PlainValidator(one_line)] = ""
    tell: Annotated[bool, PlainValidator(boolean)] = True


PERSON_KEYS = tuple(PersonTable.model_fields)
_TABLE = '"reviewer@example.com" = { slack = "U0123456789" }'


def people_section(section: object) -> tuple[dict[str, dict[str, Any]], list[str], list[str]]:
    """The tables of `[people]` by e-mail, lines on what cannot be understood, and findings on ids that are none.

    A person whose e-mail or Slack id is none is no reason not to start: only this person is not reached.
    """
    if not isinstance(section, dict):
        return {}, [f"people is not a table; write [people] on a line of its own and {_TABLE} below"], []
    tables: dict[str, dict[str, Any]] = {}
    problems: list[str] = []
    findings: list[str] = []
    for given, table in section.items():
        if not isinstance(table, dict):
            problems.append(f"people.{given!r} is no table; write {_TABLE}")
            continue
        problems += _unknown_keys(given, table)
        try:
            key = email(given)
        except ValueError as error:
            findings.append(f"people.{given!r} {error}; until then it has no effect")
            continue
        if key in tables:
            problems.append(f"people has two tables for {key!r}; write one")
        tables[key], wrong = _without_bad_user(given, table)
        findings += wrong
    return tables, problems, findings


def _unknown_keys(given: str, table: Mapping[str, Any]) -> Iterator[str]:
    for key in table:
        if key not in PERSON_KEYS:
            advice = did_you_mean(key, PERSON_KEYS) or f"; known are {', '.join(PERSON_KEYS)}"
            yield f"people.{given!r}.{key} is not a setting here{advice}"


def _without_bad_user(given: str, table: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    known = {key: table[key] for key in PERSON_KEYS if key in table}
    try:
        # Where none is given, there is nothing to find wrong: U0 stands for a good one.
        slack_user(known.get("slack", "U0"))
    except ValueError as error:
        wrong = f"people.{given!r}.slack: {known.pop('slack')!r} {error}; until then the person is looked up by e-mail"
        return known, [wrong]
    return known, []
