"""What a command begins with."""

from __future__ import annotations

import gc

from worker.cli import reported


def test_garbage_is_collected_again_once_a_command_begins() -> None:
    gc.disable()
    try:
        with reported():
            assert gc.isenabled()
    finally:
        gc.unfreeze()
        gc.enable()
