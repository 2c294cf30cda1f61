"""A small HTTP server in a thread, for tests of the generator: it answers, stalls, refuses, resets or says nothing, as it is told."""

import asyncio
import contextlib
import json
import threading

OPENAPI = {
    "paths": {
        "/livez": {"get": {}},
        "/predict": {"post": {"requestBody": {"content": {"application/json": {"schema": {"oneOf": [
            {"type": "object", "properties": {"inputs": {"type": "object"}}, "required": ["inputs"]},
            {"type": "object", "required": ["row"], "properties": {"row": {"type": "object", "required": ["x", "colour"], "properties": {
                "x": {"type": "array", "items": {"type": ["number", "null"]}, "minItems": 3, "maxItems": 3},
                "colour": {"type": ["string", "null"], "examples": ["red", "blue"]}}}}},
        ]}}}}}},
    }
}  # fmt: skip
METADATA = {
    "name": "m",
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}, {"name": "ids", "datatype": "INT64", "shape": [-1]}],
}


class Answering:
    """`act(number, body)` says what becomes of request `number`: a status, or "stall", "reset", "silent", "garbage", "close"."""

    def __init__(self, act=lambda number, body: 200, headers=b"", stall_s=0.4):
        self.act, self.headers, self.stall_s, self.bodies, self.heads = act, headers, stall_s, [], []
        self._ready, self._stalled, self.opened = threading.Event(), 0.0, 0

    async def _serve(self, reader, writer):
        self.opened += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError), contextlib.closing(writer):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
                body = await reader.readexactly(int(lines.get(b"content-length", b"0")))
                if head.startswith(b"GET"):
                    self._write(writer, 200, json.dumps(METADATA if b"/v2/" in head else OPENAPI).encode())
                    continue
                self.bodies.append(body)
                self.heads.append(head)
                if not await self._answer(len(self.bodies) - 1, body, writer):
                    break

    async def _answer(self, number, body, writer):
        doing = self.act(number, body)
        if doing == "stall":  # the whole server stands still, as in a garbage collection
            self._stalled = asyncio.get_running_loop().time() + self.stall_s
        await asyncio.sleep(max(self._stalled - asyncio.get_running_loop().time(), 0))
        if doing == "silent":
            await asyncio.sleep(60)
        if doing == "garbage":
            writer.write(b"HTTP/9 what?\r\n\r\n")
        elif doing != "reset":
            self._write(writer, doing if isinstance(doing, int) else 200, b"{}", b"connection: close\r\n" if doing == "close" else b"")
        return doing not in ("reset", "garbage", "close")

    def _write(self, writer, status, body, more=b""):
        length = str(len(body)).encode()
        writer.write(b"HTTP/1.1 %d X\r\n%s%scontent-length: %s\r\n\r\n" % (status, self.headers, more, length) + body)

    async def _main(self):
        self._stop, self._loop = asyncio.Event(), asyncio.get_running_loop()
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._ready.set()
        await self._stop.wait()
        server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.01)

    def __enter__(self):
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()))
        self._thread.start()
        self._ready.wait(10)
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
