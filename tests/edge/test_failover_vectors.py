"""The vectors that every implementation of the failover policy replays, through a request's real way down a device's chain.

Each request is a thread with a `Walk` of its own. It stops whenever it looks at the clock and whenever it asks an entry, so that the script
of a scenario says what time it is there, and what comes of the entry.
"""

from __future__ import annotations

import json
import queue
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from portside.edge import walking
from portside.edge.chain import Chain, Cloud, OpenModel
from portside.edge.kept import Kept
from portside.edge.settings import Cache
from portside.edge.walking import Walk
from portside.sdk.core import failover
from portside.sdk.core.codec.codec import Codec
from portside.sdk.core.errors import EngineError
from portside.sdk.core.signature import Signature, TensorSpec

SCENARIOS = json.loads((Path(__file__).parents[1] / "vectors" / "failover.json").read_text(encoding="utf-8"))["scenarios"]
SIGNATURE = Signature((TensorSpec("x", "f32", ("batch",)),), (TensorSpec("y", "f32", ("batch",)),))
ANSWER = {"y": np.ones(1, np.float32)}
WAIT_S = 30.0
here = threading.local()


class Seconds(float):
    """A moment whose milliseconds are exact: 0.303 * 1e3 is not 303."""

    def __new__(cls, ms):
        made = super().__new__(cls, ms / 1e3)
        made.ms = ms
        return made

    def __mul__(self, other):
        return self.ms if other == 1e3 else float(self) * other


class Ended(BaseException):
    """The scenario is over, and a request is still under way."""


class Asked(threading.Thread):
    """A request: says what it wants, and waits until it is given it."""

    def __init__(self, chain, arrived_ms):
        super().__init__(daemon=True)
        self.chain, self.arrived, self.walk = chain, Seconds(arrived_ms), None
        self.wants, self.given, self.wanting = queue.SimpleQueue(), queue.SimpleQueue(), None

    def run(self):
        here.asked = self
        try:
            self.walk = Walk(self.chain, {"x": [1.0]}, self.arrived)
            self.walk.go()
        except Ended:
            return
        self.wants.put(("end", None, None))

    def want(self, *what):
        """In the request's thread: stop, until the script goes on."""
        self.wants.put(what)
        found = self.given.get(timeout=WAIT_S)
        if found is Ended:
            raise Ended
        return found

    def next(self):
        """In the script: what the request wants now."""
        self.wanting = self.wants.get(timeout=WAIT_S)
        return self.wanting

    def give(self, what):
        """Give it what it wants, and say what it wants next."""
        self.given.put(what)
        return self.next()


class ScriptedLane:
    """In place of an engine, or of the way to the cloud."""

    inline, info = True, SimpleNamespace(thread_safe=True)

    def __init__(self, place):
        self.place, self.ready = place, True

    def run_inline(self, arrays, until):
        return _outcome(here.asked.want("call", self.place, until))

    def run(self, inputs, until=None):
        return self.run_inline(inputs, until)


class ScriptedCache(Kept):
    """A real one, filled at the moment of the look where the script says that it answers."""

    def __init__(self, place):
        super().__init__(Cache())
        self.place = place

    def get(self, key):
        if here.asked.want("look", self.place, None) == "answered":
            self.put(key, ANSWER)
        return super().get(key)


def _outcome(word):
    if word == "non-finite":
        return {"y": np.full(1, np.nan, np.float32)}
    if word != "answered":
        raise EngineError("as the script says", reason=word)
    return ANSWER


def _chain(policy):
    """A chain of the class that agents use, whose entries do what the script says."""
    made = Chain.__new__(Chain)
    made.policy, made.lock, made.breakers, made.faults = policy, threading.Lock(), failover.start(policy), [""] * len(policy.chain)
    made.entries = [_entry(place, entry.kind) for place, entry in enumerate(policy.chain)]
    made.champion, made.place = made.entries[0], 0
    return made


def _entry(place, kind):
    if kind == "default":
        return ANSWER
    if kind == "cache":
        return ScriptedCache(place)
    lane = ScriptedLane(place)
    return Cloud("https://cloud.example", lane) if kind == "endpoint" else OpenModel("m", "d", "t", "a", SIGNATURE, Codec(), lane)


@pytest.fixture
def requests(monkeypatch):
    """Requests by name; what is still under way in the end is ended."""
    monkeypatch.setattr(walking, "time", SimpleNamespace(monotonic=lambda: here.asked.want("clock", None, None)))
    found = {}
    yield found
    for asked in found.values():
        asked.given.put(Ended)
        if asked.ident is not None:
            asked.join(WAIT_S)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario["name"])
def test_vectors(scenario, requests):
    chain = _chain(failover.Policy.from_dict(scenario["policy"]))
    for step in scenario["steps"]:
        now = Seconds(step["now"])
        if step["op"] == "arrive":
            requests[step["request"]] = Asked(chain, step["now"])
            continue
        asked = requests[step["request"]]
        (_decide if step["op"] == "decide" else _observe)(chain, asked, step, now)


def _decide(chain, asked, step, now):
    if asked.ident is None:
        asked.start()
        asked.next()
    assert asked.wanting[0] == "clock"
    for place in step.get("down", ()):
        chain.entries[place].lane.ready = False
    do, place, until = asked.give(now)
    for place_down in step.get("down", ()):
        chain.entries[place_down].lane.ready = True
    expected = step["expect"]
    if do == "clock":  # a default has answered; when, is told to the policy
        asked.give(now)
        do, place = "answer", asked.walk.place
    elif do == "end":
        do, place = "give-up", asked.walk.place
    assert (do, place) == (expected["do"], expected["entry"])
    assert until == (None if expected["until_ms"] is None else expected["until_ms"] / 1e3)


def _observe(chain, asked, step, now):
    if asked.wanting[0] != "end":
        assert asked.wanting[0] in ("call", "look")
        assert asked.give(step["outcome"])[0] == "clock"
        asked.give(now)
    request, expected = asked.walk.request, step["expect"]
    assert [breaker.state for breaker in chain.breakers] == expected["states"]
    assert (request.reason, request.answered_by) == (expected["reason"], expected["answered_by"])
    assert [[attempt.entry, attempt.reason] for attempt in request.attempts] == expected["attempts"]
    assert (asked.wanting[0] == "end") == (expected["answered_by"] is not None)
    if expected["answered_by"] is not None:
        assert (asked.walk.place, asked.walk.reason) == (expected["answered_by"], expected["reason"])
