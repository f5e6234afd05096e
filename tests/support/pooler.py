"""A pooler in transaction mode before a real PostgreSQL: each transaction gets the next of its server connections."""

from __future__ import annotations

import select
import socket
import struct
from contextlib import contextmanager, suppress
from queue import Queue
from threading import Lock, Thread
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

ENCRYPTION = {struct.pack("!I", number) for number in (80877103, 80877104)}  # by TLS, by GSSAPI
ASKING = frozenset(b"QS")
"""Messages that the server answers in the end by saying that it is ready: Query, Sync."""

READY, ENDS, IDLE = ord("Z"), ord("X"), b"I"


class Line:
    """One side's messages, taken apart."""

    def __init__(self, line: socket.socket) -> None:
        self.socket = line
        self._left = b""

    def fileno(self) -> int:
        return self.socket.fileno()

    def messages(self) -> list[bytes]:
        """What has come whole; OSError where the other side is gone."""
        came = self.socket.recv(65536)
        if not came:
            raise ConnectionResetError
        self._left += came
        whole = []
        while len(self._left) > 4 and len(self._left) > (size := struct.unpack("!I", self._left[1:5])[0]):
            whole.append(self._left[: size + 1])
            self._left = self._left[size + 1 :]
        return whole


class Pooler:
    """Serves any number of clients by `size` connections to one database."""

    def __init__(self, url: str, size: int) -> None:
        self._url = url
        self._hello = b""
        self.free: Queue[Line] = Queue()
        for _ in range(size):
            self.free.put(Line(self._connect()))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.transactions = 0
        self._counting = Lock()
        self._serving: list[tuple[socket.socket, Thread]] = []
        self._accepting = Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def close(self) -> None:
        """End every client's line, and then the servers' that they have given back."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listener.close()
        for client, thread in self._serving:
            with suppress(OSError):  # it may have ended by itself
                client.shutdown(socket.SHUT_RDWR)
            thread.join()
        while not self.free.empty():
            self.free.get().socket.close()

    def _connect(self) -> socket.socket:
        """Be let in by the server as any client; what it says on the way is what our clients are told."""
        parts = urlsplit(self._url)
        line = socket.socket(socket.AF_UNIX)
        line.connect(f"{parse_qs(parts.query)['host'][0]}/.s.PGSQL.5432")
        named = {"user": parts.username or "postgres", "database": parts.path[1:], "client_encoding": "utf8"}
        text = b"".join(f"{name}\0{value}\0".encode() for name, value in named.items()) + b"\0"
        line.sendall(struct.pack("!II", len(text) + 8, 3 << 16) + text)
        self._hello = b""
        while not self._hello.endswith(b"Z\0\0\0\5I"):
            self._hello += line.recv(65536)
        return line

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                thread = Thread(target=self._serve, args=(client,), daemon=True)
                self._serving.append((client, thread))
                thread.start()

    def _serve(self, client: socket.socket) -> None:
        # Whoever goes while it is spoken to ends its own line, at any word.
        with client, suppress(OSError):
            while client.recv(65536)[4:] in ENCRYPTION:
                client.sendall(b"N")
            client.sendall(self._hello)
            line = Line(client)
            while True:
                self._transaction(line)

    def _transaction(self, client: Line) -> None:
        """Wait for a client's next words, and lend it a server to the end of its transaction."""
        waiting = client.messages()
        while not waiting:
            waiting = client.messages()
        if waiting[0][0] == ENDS:
            raise ConnectionAbortedError
        server = self.free.get()
        try:
            self._pass_on(client, server, waiting)
        finally:
            self.free.put(server)
        with self._counting:
            self.transactions += 1

    def _pass_on(self, client: Line, server: Line, waiting: list[bytes]) -> None:
        asked = sum(each[0] in ASKING for each in waiting)
        server.socket.sendall(b"".join(waiting))
        while True:
            for ready in select.select([client, server], [], [])[0]:
                said = ready.messages()
                if ready is client:
                    asked += sum(each[0] in ASKING for each in said)
                    server.socket.sendall(b"".join(said))
                    continue
                client.socket.sendall(b"".join(said))
                ends = [each[5:] for each in said if each[0] == READY]
                asked -= len(ends)
                if ends and not asked and ends[-1] == IDLE:
                    return


@contextmanager
def pooling(url: str, size: int = 3) -> Iterator[tuple[Pooler, str]]:
    """A pooler before the database at `url`, and the URL by which it is reached."""
    pooler = Pooler(url, size)
    try:
        yield pooler, f"postgresql://postgres@127.0.0.1:{pooler.port}{urlsplit(url).path}"
    finally:
        pooler.close()
