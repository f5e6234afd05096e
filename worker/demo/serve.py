"""Serves an ASGI application on loopback from a thread, until its context ends."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

import uvicorn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.applications import Starlette

STOP_SECONDS = 10.0


@contextlib.contextmanager
def serving(app: Starlette, *, port: int = 0, dated: bool = True) -> Iterator[str]:
    """Serve `app` on 127.0.0.1 and yield its root, as `http://127.0.0.1:PORT`; port 0 takes a free one.

    Answers are `dated` by the machine's clock, as HTTP wants it; an app that lives by another clock gives no dates.
    Raises OSError where the port is taken. The socket listens before the root is yielded, so no caller has to wait.
    """
    listener = socket.create_server(("127.0.0.1", port))
    # asyncio does so itself only where it made the socket; without, the body of an answer waits 40 ms behind its head.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    config = uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1, date_header=dated
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="simulator", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(STOP_SECONDS)
        listener.close()
