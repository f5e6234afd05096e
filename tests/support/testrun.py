"""The test run that this process belongs to: what is set before the processes are forked is the same in all of them."""

from __future__ import annotations

import os
from uuid import uuid4

NAME = uuid4().hex

LEADER = os.getpid()
"""The first of its processes, and the last."""
