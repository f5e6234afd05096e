"""The findings of `check`, a line each. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `check`. `remedy` is empty where all is well."""

    name: str
    ok: bool
    text: str
    remedy: str = ""
