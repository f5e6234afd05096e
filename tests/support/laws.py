"""How laws and state machines are tried: new examples in every run, at one's leisure, with what reproduces a failure.

hypothesis keeps to a profile of its own wherever a variable such as `CI` is set: the same examples in every run. What a
profile does not say for itself, it takes from that one. So both profiles of hypothesis are replaced, and whatever a
test or another profile adds stands upon this.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import engine

EXPLORING = settings(
    settings.get_profile("default"),
    derandomize=False,
    print_blob=True,
    deadline=None,  # for a single example: the machine may be busy with other tests
    suppress_health_check=[HealthCheck.too_slow],  # the same
)

# A minute instead of five, in which a test would run into its own time-out, and that would pass for another failure.
engine.MAX_SHRINKING_SECONDS = 60

for name in ("default", "ci"):
    settings.register_profile(name, EXPLORING)
