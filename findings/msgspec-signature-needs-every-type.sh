#!/bin/sh
# A struct whose fields name a type that is imported for type checking alone cannot be inspected, nor built by hypothesis.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check msgspec==0.22.0 hypothesis==6.170.17
cat <<'END'
Version:  msgspec 0.22.0, hypothesis 6.170.17.
Expected: a class whose annotations are never evaluated can name types that are imported for type checking alone. inspect.signature
          gives the parameters of such a dataclass, with the annotations as they are written, and builds(), given all arguments,
          makes values of it. A frozen struct with the same fields does the same.
Seen:     the struct can be made by hand, but its signature is worked out when it is asked for, and evaluates every annotation:
          inspect.signature raises NameError, and so does builds(), although it needs to guess nothing. Within a function the call
          works, because then hypothesis looks at the function.
END
"$place/venv/bin/python" - <<'END'
from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
from hypothesis import find
from hypothesis import strategies as st

if TYPE_CHECKING:
    from decimal import Decimal


@dataclass(frozen=True)
class AsDataclass:
    total: Decimal


class AsStruct(msgspec.Struct, frozen=True):
    total: Decimal


def tried(what):
    try:
        return str(what())
    except NameError as error:
        return f"NameError: {error}"


def built(of):
    return find(st.builds(of, st.just(1)), lambda _: True)


seen = {}
for made in (AsDataclass, AsStruct):
    seen[made] = [
        tried(lambda made=made: made(1)),
        tried(lambda made=made: inspect.signature(made)),
        tried(lambda made=made: built(made)),
        tried(lambda made=made: built(lambda total: made(total))),
    ]
    for what, result in zip(("made by hand", "its signature", "built", "built by a function"), seen[made]):
        print(f"{made.__name__}, {what}: {result}")
fails = [[result.startswith("NameError") for result in results] for results in seen.values()]
sys.exit(0 if fails == [[False] * 4, [False, True, True, False]] else 1)
END
