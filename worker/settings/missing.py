"""What a command needs and nothing gives. Pure.

It looks at the values as they stand, so that one error can name what is missing together with what is wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from worker.settings.ids import ALL_QUEUES, identity, listed_queues
from worker.settings.model import EVERY
from worker.settings.names import Need, similar, some

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from worker.settings.layers import Layers


def missing(needs: frozenset[Need], layers: Layers, *, names: Collection[str]) -> Iterator[str]:
    """A line on each setting that is required and stands nowhere; `names` are all that the environment and `.env` have.

    Of queues and channels nothing is said while `worker.toml` is broken: they may well be in it.
    """
    present = {key for layer in layers for key in layer.names}
    required = [key for key, name in EVERY.items() if name.need in needs and key not in present]
    for key in required:
        if key != "listed" or not ({"tables"} & present or layers.toml.problems):
            yield f"{EVERY[key].env}: is missing; {EVERY[key].remedy}{_typing_error(EVERY[key].env, names)}"
    if needs >= {Need.QUEUES, Need.SLACK} and "channel" not in present and not layers.toml.problems:
        yield from _channel(layers, names)


def _channel(layers: Layers, names: Collection[str]) -> Iterator[str]:
    tables = cast("list[dict[str, Any]]", layers.toml.given.get("tables", []))
    queues = [*(str(table["queue"]) for table in tables), *_listed(layers)]
    served = {identity(str(table["queue"])) for table in tables if "channel" in table}
    without = [queue for queue in dict.fromkeys(queues) if identity(queue) not in served]
    if without or not queues:
        remedy = "set the id of the Slack channel to post to, or write it as channel in worker.toml"
        yield f"WORKER_CHANNEL: is missing{_for(without)}; {remedy}{_typing_error('WORKER_CHANNEL', names)}"


def _for(queues: list[str]) -> str:
    named = ["every queue" if queue == ALL_QUEUES else repr(queue) for queue in queues]
    return f" for {some(named)}" if named else ""


def _listed(layers: Layers) -> tuple[str, ...]:
    raw = next((layer.given["listed"] for layer in layers if "listed" in layer.given), None)
    try:
        return listed_queues(raw)
    except ValueError:
        return ()  # absent, or wrong and said so elsewhere


def _typing_error(env: str, names: Collection[str]) -> str:
    known = {known for name in EVERY.values() for known in (*name.envs, name.env_file)}
    meant = similar(env, (name for name in names if name not in known))
    return f" ({meant} is set: was this name meant?)" if meant else ""
