"""What the process was started into; for what is no setting of ours, such as systemd's addresses."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def surroundings() -> Mapping[str, str]:
    """The environment of this process. It may hold secrets: pick out names, never show it."""
    return os.environ  # noqa: TID251  the one reader of the environment
