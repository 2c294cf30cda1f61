"""Whoever is told has so long and no longer, whatever it does with the call."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from portside.cloud.alerts.targets import ALERTMANAGER, MOST_BYTES, Targets
from portside.sdk.core.errors import StoreError


@pytest.fixture
def answering():
    """(bytes, seconds between two of them) -> the URL of a receiver that says them, one at a time."""
    made = list[socket.socket]()

    def begin(said: bytes, pause_s: float) -> str:
        server = socket.create_server(("127.0.0.1", 0))
        made.append(server)

        def serve() -> None:
            try:
                with server.accept()[0] as connection:
                    connection.recv(65536)
                    for place in range(0, len(said), 1 if pause_s else len(said)):
                        connection.sendall(said[place : place + (1 if pause_s else len(said))])
                        time.sleep(pause_s)
            except OSError:
                return  # the caller has hung up

        threading.Thread(target=serve, daemon=True).start()
        return f"http://127.0.0.1:{server.getsockname()[1]}"

    yield begin
    for server in made:
        server.close()


@pytest.mark.parametrize("said", [b"HTTP/1.1 200 OK\r\nx: " + b"y" * 1000, b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n" + b"y" * 900])
def test_one_that_drips_is_hung_up_on(answering, said):
    targets = Targets(alertmanager=answering(said, 0.1), timeout_s=0.5)
    with pytest.raises(StoreError, match="cannot be reached: TimeoutError"):
        targets._post(ALERTMANAGER, [], {})


def test_of_an_answer_without_an_end_only_the_beginning_is_read(answering):
    large = b"HTTP/1.1 500 no\r\ncontent-length: 100000000\r\n\r\n" + b"y" * 50 * MOST_BYTES
    with pytest.raises(StoreError, match="does not take it") as caught:
        Targets(alertmanager=answering(large, 0))._post(ALERTMANAGER, [], {})
    assert len(str(caught.value)) < 400
