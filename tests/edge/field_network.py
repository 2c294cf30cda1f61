"""A bad network: a proxy that is up now and then, and then delays, cuts requests in the middle, and loses replies to what was stored."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections import Counter

FATES = ["clean", "cut", "deaf", "slow"]


class Network:
    """Between 127.0.0.1:`port` and the server's port. `up` may be changed at any time; going down hangs up on everybody.

    Attributes:
        fates: what became of connections: refused while down, cut in the request, deaf (its reply lost), slow, clean.
        sent: bytes that went through to the server.
    """

    def __init__(self, server_port: int, seed: int) -> None:
        self.up, self.kind, self.fates, self.sent = False, False, Counter[str](), bytearray()
        self._server_port, self._draw = server_port, random.Random(seed)
        self._open: set[asyncio.StreamWriter] = set()
        self._loop, self._ready = asyncio.new_event_loop(), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._ready.wait()

    def turn(self, up: bool, kind: bool = False) -> None:
        """Up or down; kind: nothing is broken while it is up."""
        self.up, self.kind = up, kind
        if not up:
            self._loop.call_soon_threadsafe(self._hang_up)

    def close(self) -> None:
        """End it."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        self._hang_up()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0.05))

    def _hang_up(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fate = ("clean" if self.kind else self._draw.choices(FATES, [6, 2, 2, 1])[0]) if self.up else "refused"
        self.fates[fate] += 1
        self._open.add(writer)
        try:
            if fate != "refused":
                await self._between(reader, writer, fate)
        except OSError:
            self.fates["no server"] += 1
        finally:
            self._open.discard(writer)
            writer.transport.abort()

    async def _between(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, fate: str) -> None:
        theirs, ours = await asyncio.open_connection("127.0.0.1", self._server_port)
        self._open.add(ours)
        try:
            there = asyncio.ensure_future(
                self._pipe(reader, ours, self._draw.randint(100, 6000) if fate == "cut" else None, fate == "slow")
            )
            back = asyncio.ensure_future(self._pipe(theirs, writer, 0 if fate == "deaf" else None, fate == "slow"))
            await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
            there.cancel()
            back.cancel()
        finally:
            self._open.discard(ours)
            ours.transport.abort()

    async def _pipe(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, most: int | None, slow: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(4096):
                if slow:
                    await asyncio.sleep(0.02)
                if most is not None:
                    data, most = data[:most], max(0, most - len(data))
                sink.write(data)
                self.sent += data if len(self.sent) < 32 << 20 else b""
                await sink.drain()
                if most == 0:
                    return
