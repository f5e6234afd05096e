#!/bin/sh
# httpx's time-out to connect is the whole of it for AsyncClient, and for each address of a name for Client.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check httpx==0.28.1 httpcore==1.0.9 anyio==4.16.0
cat <<'END'
Version:  httpx 0.28.1, httpcore 1.0.9, anyio 4.16.0, on Linux.
Expected: Timeout(connect=1.0) is, as documented, the longest that one waits for a connection to the host: of a name with
          three addresses that drop every attempt, Client and AsyncClient are done after one second.
Seen:     AsyncClient is. Client waits for three seconds, one for each address in turn.
END
"$place/venv/bin/python" - <<'END'
import asyncio
import socket
import sys
from time import monotonic

import anyio._backends._asyncio  # anyio imports it at its first use, which is not what is measured
import httpx

ADDRESSES = ("127.0.0.2", "127.0.0.3", "127.0.0.4")
TIMEOUT = httpx.Timeout(30, connect=1.0)
kept = []


def silent(address, port):
    """A port whose queue is full: the kernel drops what else would connect."""
    listener = socket.create_server((address, port), backlog=0)
    kept.append(listener)
    for _ in range(4):
        kept.append(socket.socket())
        kept[-1].setblocking(False)
        kept[-1].connect_ex(listener.getsockname())
    return listener.getsockname()[1]


port = 0
for address in ADDRESSES:
    port = silent(address, port)
resolve = socket.getaddrinfo


def three(host, *rest, **options):
    if host in ("three.example", b"three.example"):
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port)) for address in ADDRESSES]
    return resolve(host, *rest, **options)


socket.getaddrinfo = three
url = f"http://three.example:{port}/"


def in_turn():
    with httpx.Client(timeout=TIMEOUT, trust_env=False) as client:
        begin = monotonic()
        try:
            client.get(url)
        except httpx.ConnectTimeout:
            return monotonic() - begin


async def at_once():
    async with httpx.AsyncClient(timeout=TIMEOUT, trust_env=False) as client:
        begin = monotonic()
        try:
            await client.get(url)
        except httpx.ConnectTimeout:
            return monotonic() - begin


client, async_client = in_turn(), asyncio.run(at_once())
if client is None or async_client is None:
    sys.exit("a connection was made where none should be")
print(f"connect=1.0, three addresses: Client {client:.1f} s, AsyncClient {async_client:.1f} s, both with ConnectTimeout")
sys.exit(0 if client > 2.5 and async_client < 2.0 else 1)
END
