"""A camera as a source, through OpenCV: one frame at a time, the newest there is."""

from __future__ import annotations

# pyright: reportMissingImports=false, reportOptionalMemberAccess=false, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
import time
from collections.abc import Callable, Iterator

import numpy as np

from ..sdk.core.errors import InputError, MissingExtraError
from .sources import Item

LOOK_S = 0.1

try:
    import cv2
except ImportError:  # said when a camera is opened
    cv2 = None


class Camera:
    """Frames of one camera.

    Args:
        number: of the device, as OpenCV counts them.
        field: gives the image field when a frame is there.
        every_s: between two frames.

    Raises InputError where it cannot be opened, MissingExtraError without OpenCV.
    """

    def __init__(self, number: int, field: Callable[[], str], every_s: float = 1.0) -> None:
        if cv2 is None:
            raise MissingExtraError("Cameras are read by OpenCV, which is not installed", extra="camera")
        self._number, self._field, self._every_s = number, field, every_s
        self._device = cv2.VideoCapture(number)
        if not self._device.isOpened():
            raise InputError("The camera cannot be opened", got=f"camera:{number}", fix="May this user read /dev/video*?")
        self._device.set(cv2.CAP_PROP_BUFFERSIZE, 1)

    def items(self, stop: Callable[[], bool]) -> Iterator[Item]:
        """Frames as RGB, uint8 (height, width, 3), until stopped."""
        count = 0
        try:
            while not stop():
                began = time.monotonic()
                there, frame = self._device.read()
                count += 1
                name = f"frame {count}"
                if there:
                    picture = np.ascontiguousarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
                    yield Item(name, {self._field(): [picture]}, event_ms=time.time_ns() // 1_000_000)
                else:
                    yield Item(name, InputError("The camera gives no frame", got=f"camera:{self._number}"))
                    self._device.release()  # it may have been plugged in anew
                    self._device = cv2.VideoCapture(self._number)
                _rest(began + self._every_s, stop)
        finally:
            self._device.release()


def _rest(until: float, stop: Callable[[], bool]) -> None:
    """Wait until that moment, or until stopped: a minute between two frames does not hold up the end."""
    while not stop() and (left := until - time.monotonic()) > 0:
        time.sleep(min(left, LOOK_S))
