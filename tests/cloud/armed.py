"""A deployment with a challenger, opened: the champion decides at 0.5, the challenger at 0.6, which misbehaves as NEW_FAULT says."""

import asyncio
import time

import packages

from portside.cloud.answering.answers import Question
from portside.cloud.deployment.file import read
from portside.cloud.deployment.resolving import resolve
from portside.cloud.deployment.traffic import Traffic
from portside.cloud.records.reading import records
from portside.cloud.versions import opened
from portside.sdk.core.signature import Signature, TensorSpec

NEW = packages.MAIN.replace('"PORTSIDE_FAULT"', '"NEW_FAULT"').replace("score > 0.5", "score > 0.6")
STRICT = Signature((TensorSpec("x", "f32", ("batch", 3), range=(-0.5, 0.5), on_range="reject"),), packages.SIGNATURE.outputs)
LINE = TensorSpec("line", "i32", ("batch",), categories=("test", "live"))
LINED = Signature((*packages.SIGNATURE.inputs, LINE), packages.SIGNATURE.outputs)
TEXT = """name = "tester"

[champion]
package = "{champion}"
isolation = "inline"
trust = true

[failover]
deadline_ms = {deadline}
breaker = {{ failures = 3, open_ms = 60000, max_open_ms = 60000 }}

[[failover.chain]]
default = {{ label = "bad", score = 0.25 }}
{more}
[rollout]
challenger = {{ package = "{challenger}", trust = true, isolation = "{isolation}" }}
{rollout}
"""
SAME, OTHER = [1.0, 1.0, 1.0], [0.1, 0.1, 0.0]
"""Both models say "bad" to the first; of the second the champion says "bad" (1), the challenger "good" (0)."""


class Tried:
    """An engine with its challenger."""

    def __init__(self, file):
        self.file, self.resolved = file, resolve(read(file))
        self.engine = opened(self.resolved)
        self.digest = self.resolved.challengers[0].digest
        self.serial = 0

    def take(self, phase, share=0.0, **more):
        """What the controller wants from now on."""
        self.serial += 1
        self.engine.take(Traffic(self.serial, "r1", phase, (self.digest,), share, salt="r1", **more))

    def ask(self, *rows, **more):
        """One answer."""
        return self.asks([rows or (OTHER,)], **more)[0]

    def asks(self, requests, entities=(), **more):
        """Answers of one event loop, one after the other."""

        async def all_of():
            named = list(entities) or [None] * len(requests)
            return [await self.engine.answer(Question({"x": list(rows), **more}, time.monotonic(), who))
                    for rows, who in zip(requests, named, strict=True)]  # fmt: skip

        return asyncio.run(all_of())

    @property
    def kept(self):
        """The records."""
        self.engine.records.flush()
        return list(records(self.file.parent / "records.sqlite"))
