"""What the local doors answer: routes over whatever an agent runs at the moment of a request. From values to values; knows no sockets."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from ..sdk.core.errors import EngineError, FormatError, InputError, PortsideError
from ..sdk.core.signature import Signature
from ..sdk.core.wire import Asked
from .answering import Answered, Answering
from .door_counts import DoorCounts
from .door_messages import JSON, PROMETHEUS, TEXT, Refused, Reply, Request, refusal_reply
from .door_settings import DoorSettings
from .form import parts
from .watchdog import Patience, Pulse, judge
from .wire_json import DeviceWire, dumps

RECEIPT = {"both": True, "body": True, "headers": False, "none": False}
"""What `x-portside-receipt` may say, and whether the receipt is in the body then. In headers it is not at these doors."""
log = logging.getLogger("portside.edge.doors")


class DoorRoutes:
    """The routes.

    Args:
        answering: who answers.
        settings: how many answers at once, and how long a caller waits for a place.
        pulse: is told of every answer in the making.
        patience: when /healthz says that it is wedged.
    """

    def __init__(self, answering: Answering, settings: DoorSettings, pulse: Pulse, patience: Patience) -> None:
        self._answering, self._settings, self._pulse, self._patience = answering, settings, pulse, patience
        self._places = threading.BoundedSemaphore(settings.max_predictions)
        self._wire: tuple[Signature, DeviceWire] | None = None
        self.counts = DoorCounts()
        self.gauges: Callable[[], Mapping[str, float]] = dict
        alive = {"GET": self._healthz}
        predict = {"POST": self._predict}
        self._routes: dict[str, dict[str, Callable[[Request], Reply]]] = {
            "/predict": predict, "/livez": alive, "/healthz": alive, "/readyz": {"GET": self._readyz}, "/status": {"GET": self._status},
            "/metrics": {"GET": self._metrics},
        }  # fmt: skip

    def reply(self, request: Request) -> Reply:
        """Answer or refuse; never raises."""
        try:
            return self._handler(request)(request)
        except Refused as refused:
            return refusal_reply(refused)
        except InputError as error:
            return refusal_reply(Refused(422, error))
        except PortsideError as error:
            return refusal_reply(_unanswered(error))
        except Exception:  # ours: recorded here, told to nobody
            log.exception("A request failed inside the agent")
            return refusal_reply(Refused(500, PortsideError("The agent failed; its log says why")))

    def _handler(self, request: Request) -> Callable[[Request], Reply]:
        """Raises Refused (404, 405)."""
        methods = self._routes.get(request.head.path)
        if methods is None:
            error = InputError("There is nothing at this path", field="path", got=request.head.path[:100], expected=", ".join(self._routes))
            raise Refused(404, error)
        method = request.head.method
        handler = methods.get("GET" if method == "HEAD" else method)
        if handler is None:
            allowed = ", ".join([*methods, "HEAD"] if "GET" in methods else methods)
            error = InputError("This path does not take this method", field="method", got=method, expected=allowed)
            raise Refused(405, error, [("allow", allowed)])
        return handler

    def _predict(self, request: Request) -> Reply:
        with_receipt = _receipt(request)
        wire = self._known_wire()
        asked = asked_of(wire, request)
        began = time.monotonic()
        answered = self._answered(asked)
        self.counts.answer(time.monotonic() - began)
        return Reply(200, dumps(body_of(wire, answered, asked, with_receipt)))

    def _answered(self, asked: Asked) -> Answered:
        """Raises Refused (429) where there is no place in time, and what the agent raises."""
        if not self._places.acquire(timeout=self._settings.wait_s):
            busy = EngineError("The device answers as many as it may at once", reason="busy", expected=str(self._settings.max_predictions))
            raise Refused(429, busy, [("retry-after", "1")])
        try:
            with self._pulse.answering():
                return self._answering.predict(asked.wire, entity=asked.entity, event_ms=asked.event_ms)
        finally:
            self._places.release()

    def _known_wire(self) -> DeviceWire:
        """Of what answers now. Raises Refused (503) while nothing does."""
        while (signature := self._answering.signature) is not None:
            held = self._wire
            if held is not None and held[0] is signature:
                return held[1]
            fields = self._answering.fields
            if self._answering.signature is signature:  # else a release came between the two, and they do not belong together
                self._wire = (signature, DeviceWire(fields, signature))
        raise Refused(503, EngineError("Nothing is installed that answers", reason="closed"), [("retry-after", "5")])

    def _healthz(self, _: Request) -> Reply:
        verdict = judge(self._pulse.vitals(), self._patience)
        return Reply(200 if verdict.alive else 503, f"{verdict.why or 'alive'}\n".encode(), TEXT)

    def _readyz(self, _: Request) -> Reply:
        self._known_wire()
        return Reply(200, b"ready\n", TEXT)

    def _status(self, _: Request) -> Reply:
        return Reply(200, dumps(self._answering.status()))

    def _metrics(self, _: Request) -> Reply:
        vitals = self._pulse.vitals()
        now = {"ready": float(self._answering.signature is not None), "answers_running": float(vitals.running), **self.gauges()}
        return Reply(200, self.counts.text(**now).encode(), PROMETHEUS)


def asked_of(wire: DeviceWire, request: Request) -> Asked:
    """A request's body by wire field. Raises Refused (400, 415), InputError."""
    kind = request.head.headers.get("content-type", JSON)
    media = kind.partition(";")[0].strip().lower()
    try:
        if media == "multipart/form-data":
            return wire.read_parts(parts(request.body, kind))
        if media == JSON or media.endswith("+json"):
            return wire.read_json(request.body)
    except FormatError as error:
        raise Refused(400, InputError(error.what, field="body", got=error.got, expected=error.expected)) from error
    except ValueError as error:
        raise Refused(400, InputError(f"The body is not JSON: {error}", field="body")) from error
    raise Refused(415, InputError("The content type is not one this route takes", field="content-type", got=media[:60],
                                  expected="application/json or multipart/form-data",
                                  fix="With curl: -H 'Content-Type: application/json' beside -d, or -F FIELD=@FILE."))  # fmt: skip


def body_of(wire: DeviceWire, answered: Answered, asked: Asked, receipt: bool) -> dict[str, Any]:
    """The answer as JSON-ready data: outputs in the form of the request, the receipt where it is wanted, flags where there are any."""
    data: dict[str, Any] = {"outputs": wire.write(answered.outputs, asked.form)}
    if receipt:
        data["receipt"] = answered.receipt.to_dict()
    return {**data, "flags": [flag._asdict() for flag in answered.flags]} if answered.flags else data


def _receipt(request: Request) -> bool:
    word = request.head.headers.get("x-portside-receipt", "body").strip().lower()
    if word not in RECEIPT:
        raise Refused(400, InputError("There is no such place for a receipt", field="x-portside-receipt", got=word[:40],
                                      expected=", ".join(RECEIPT)))  # fmt: skip
    return RECEIPT[word]


def _unanswered(error: PortsideError) -> Refused:
    """Nothing could answer: 429 where that is a matter of load."""
    busy = isinstance(error, EngineError) and error.reason == "busy"
    return Refused(429 if busy else 503, error, [("retry-after", "1")])
