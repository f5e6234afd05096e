"""The `simulate` command: a policy on the remembered time, beside the present one and what was posted in fact."""

from __future__ import annotations

import sys
from datetime import timedelta
from functools import partial
from multiprocessing import get_context
from typing import TYPE_CHECKING, cast

from worker.clock import SystemClock
from worker.commands.simulate_shown import Played, columns, figure_rows, heading, notes, simulation_json
from worker.commands.startup import quiet, start, start_aside
from worker.commands.tables import print_json, print_table, say
from worker.core.simulation import Ruled, measure, past_from, with_everyone, working_days
from worker.notifiers.slack.notifier import LIMITS
from worker.rules import rules_for
from worker.settings import Need
from worker.settings.names import DATABASE_SETTING
from worker.simulation import Simulation
from worker.stores import opening
from worker.stores.imagined import Imagined
from worker.stores.imagined_rows import Outages
from worker.stores.past import recall_past
from worker.stores.reviews import every_poll

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from multiprocessing.connection import Connection
    from pathlib import Path

    from worker.core.model import Id
    from worker.core.ports import Clock
    from worker.core.simulation import Past
    from worker.core.store_roles import Store
    from worker.settings import Settings
    from worker.stores.sql import SqlStore

    Policy = tuple[Path | None, Settings]

_QUEUES = frozenset({Need.QUEUES})
_NOTHING = "nothing is remembered of these queues: let `review-notifier run` poll them for some days first"

WARM_UP = timedelta(days=4)
"""So long before the time that counts a policy is played, so that what waits then has been spoken of by it."""


def simulate(*, days: int, config: Path | None, as_json: bool) -> bool:
    """Show what the present policy, and that of a file, make of the remembered time; False where there is none."""
    present = start(_QUEUES)
    policies: list[Policy] = [(None, present)]
    if config is not None:
        policies.append((config, start_aside(_QUEUES, config)))
    quiet()
    clock = SystemClock()
    with opening.open_copy(present.database_url, setting=DATABASE_SETTING) as store:
        past = _remembered(store, clock, timedelta(days=days), present.keep_reviews)
    played = [] if past is None else play_policies(past, policies, side_by_side)
    if past is None or not any(each.figures.queues for each in played):
        sys.stderr.write(f"review-notifier: {_NOTHING}\n")
        return False
    if as_json:
        print_json(simulation_json(past, days, played))
        return True
    say(*heading(past, days, played, rules_for(present, clock)(None).calendar.zone))
    print_table(columns(played), figure_rows(past, played), empty="")
    say(*notes(played))
    return True


def _remembered(store: SqlStore, clock: Clock, wanted: timedelta, kept: timedelta) -> Past | None:
    now = store.now(clock)
    first = past_from(store.search(every_poll), now - kept)
    if first is None or first >= now:
        return None
    begin: datetime = max(now - wanted, first)
    return store.search(lambda connection: recall_past(connection, max(begin - WARM_UP, first), begin, now))


def one_by_one(works: Sequence[Callable[[], Played]]) -> list[Played]:
    """What all of them give."""
    return [work() for work in works]


def side_by_side(works: Sequence[Callable[[], Played]]) -> list[Played]:
    """The same, but each beside the first works in a process of its own; only for a process without threads."""
    context = get_context("fork")
    answers: list[Connection] = []
    for work in works[1:]:
        ours, theirs = context.Pipe(duplex=False)
        context.Process(target=_answer, args=(work, theirs), daemon=True).start()
        # Else the end of a process that was killed would not be noticed.
        theirs.close()
        answers.append(ours)
    found = [work() for work in works[:1]]
    for work, answer in zip(works[1:], answers, strict=True):
        try:
            found.append(answer.recv())
        except EOFError:
            found.append(work())
    return found


def _answer(work: Callable[[], Played], answer: Connection) -> None:
    answer.send(work())


def play_policies(
    past: Past,
    policies: Sequence[Policy],
    run: Callable[[Sequence[Callable[[], Played]]], list[Played]] = one_by_one,
) -> list[Played]:
    """What comes of each policy; `run` says how the work is done."""
    simulations: list[tuple[Path | None, Simulation, Imagined]] = []
    for config, settings in policies:
        whose = (queue.people for queue in (*settings.queues, settings.defaults))
        store = Imagined(with_everyone(past, whose), Outages(past.outages))
        simulation = Simulation(settings, past, cast("Store", store), scheme=LIMITS.scheme)
        simulations.append((config, simulation, store))
    zone = simulations[0][1].rules(None).calendar.zone
    days = _days(past, [simulation for _, simulation, _ in simulations])

    def played(config: Path | None, simulation: Simulation, store: Imagined) -> Played:
        simulation.play()
        figures = measure(past, store.posted, store.entered, _ruled(simulation), days, zone)
        return Played(config, figures, sorted(simulation.missing))

    return run([partial(played, *each) for each in simulations])


def _days(past: Past, simulations: Sequence[Simulation]) -> Mapping[Id, int]:
    """The working days of each queue: the same for all policies, by the last that has hours."""
    queues = {queue_id: queue for each in simulations for queue_id, queue in each.queues.items()}
    return {
        queue_id: len(
            working_days((each.rules(queue).calendar for each in reversed(simulations)), past.begin, past.end)
        )
        for queue_id, queue in queues.items()
    }


def _ruled(simulation: Simulation) -> Mapping[Id, Ruled]:
    rules = {queue_id: simulation.rules(queue) for queue_id, queue in simulation.queues.items()}
    return {queue_id: Ruled(each.calendar, each.policy.stale_at) for queue_id, each in rules.items()}
