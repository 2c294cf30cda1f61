"""A host of one small model in process, and a way to ask the doors in front of it."""

import asyncio
import base64
import io

import httpx
import numpy as np

from portside.cloud.answering.chain import ModelEntry
from portside.cloud.answering.engine import Engine
from portside.cloud.doors.openapi import describe
from portside.cloud.doors.wire import Wire
from portside.runtimes.base import SessionInfo
from portside.runtimes.isolation import Lane
from portside.sdk.core.codec.category import Categories
from portside.sdk.core.codec.codec import Codec
from portside.sdk.core.codec.image import Image
from portside.sdk.core.failover import Entry, Policy
from portside.sdk.core.signature import Signature, TensorSpec

CODEC = Codec.of({"photo": Image(size=(4, 4)), "colour": Categories(["red", "blue"])})
SIGNATURE = Signature(
    inputs=(
        TensorSpec("photo", "u8", ("batch", 4, 4, 3)),
        TensorSpec("colour", "i32", ("batch",), categories=("red", "blue")),
        TensorSpec("size", "f32", ("batch", 2), range=(0, 10), missing=True),
        TensorSpec("scale", "f32", (), batch_axis=None, required=False, default=1.0),
    ),
    outputs=(
        TensorSpec("mean", "f32", ("batch",), kind="value"),
        TensorSpec("name", "i64", ("batch",), categories=("small", "large"), kind="decision"),
        TensorSpec("total", "f32", (), batch_axis=None, missing=True, kind="value"),
    ),
)


class Mean:
    info = SessionInfo(SIGNATURE, "fake", "sha256:1", True, True, True)

    def run(self, inputs, cancel=None):
        mean = inputs["photo"].mean(axis=(1, 2, 3)) * inputs["scale"]
        return {"mean": mean.astype(np.float32), "name": (mean > 100).astype(np.int64), "total": np.float32(inputs["size"].sum())}

    def close(self):
        pass


class Serving:
    fault = "still loading"
    max_body_bytes = 1 << 20
    receipt = "both"

    def __init__(self, session=None, signature=SIGNATURE, codec=CODEC, name="m", version="1"):
        self.name, self.version = name, version
        self.wire = Wire(codec, signature)
        self.openapi = describe(name, self.wire.fields, signature, "1")
        entry = ModelEntry("m", "sha256:m", "fake", "sha256:a", "f", signature, codec, Lane(session or Mean(), 0))
        self.engine = Engine((entry,), Policy((Entry("model"),)), max_rows=100)


def picture(value=200, size=(4, 4)):
    from PIL import Image as Pillow

    buffer = io.BytesIO()
    Pillow.new("RGB", size, (value,) * 3).save(buffer, "PNG")
    return buffer.getvalue()


PNG64 = base64.b64encode(picture()).decode()
ROW = {"photo": PNG64, "colour": "red", "size": [1, 2]}


def send(app, method="POST", path="/predict", **rest):
    async def go():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://test") as client:
            return await client.request(method, path, **rest)

    return asyncio.run(go())
