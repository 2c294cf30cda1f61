"""A camera through what it asks of OpenCV: pictures in the order of colours that models take; one unplugged; one not there."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from portside.edge import camera
from portside.sdk.core.errors import InputError


class OpenCV:
    """The part of cv2 that is used; `frames` are given one after the other, None: there is none."""

    CAP_PROP_BUFFERSIZE, COLOR_BGR2RGB = 38, 4

    def __init__(self, frames, there=True):
        self.frames, self.there, self.opened, self.released, self.kept = list(frames), there, [], 0, []

    def VideoCapture(self, number):
        self.opened.append(number)
        return SimpleNamespace(isOpened=lambda: self.there, read=self.read, release=self.release, set=lambda *what: self.kept.append(what))

    def read(self):
        frame = self.frames.pop(0) if self.frames else None
        return frame is not None, frame

    def release(self):
        self.released += 1

    def cvtColor(self, frame, how):
        assert how == self.COLOR_BGR2RGB
        return frame[..., ::-1]


def frame(blue, green, red):
    return np.full((2, 3, 3), (blue, green, red), np.uint8)


@pytest.fixture
def plugged(monkeypatch):
    """Function that puts a stand-in for OpenCV in place and opens camera 0."""

    def plug(*frames, there=True, every_s=0.0):
        found = OpenCV(frames, there)
        monkeypatch.setattr(camera, "cv2", found)
        return found, camera.Camera(0, lambda: "photo", every_s)

    return plug


def test_frames_are_pictures_in_red_green_blue(plugged):
    cv2, held = plugged(frame(1, 2, 3), frame(4, 5, 6))
    items = held.items(lambda: not cv2.frames)
    found = list(items)
    assert [item.name for item in found] == ["frame 1", "frame 2"]
    pictures = [item.inputs["photo"][0] for item in found]
    assert [tuple(picture[0, 0]) for picture in pictures] == [(3, 2, 1), (6, 5, 4)]
    assert all(picture.flags.c_contiguous and picture.dtype == np.uint8 for picture in pictures)
    assert abs(found[0].event_ms - time.time() * 1000) < 60_000
    assert cv2.kept == [(cv2.CAP_PROP_BUFFERSIZE, 1)] and cv2.released == 1


def test_one_that_gives_nothing_is_said_and_opened_anew(plugged):
    cv2, held = plugged(None, frame(1, 2, 3))
    found = list(held.items(lambda: not cv2.frames))
    assert isinstance(found[0].inputs, InputError) and "photo" in found[1].inputs
    assert cv2.opened == [0, 0]


def test_one_that_is_not_there_is_refused(plugged):
    with pytest.raises(InputError, match="cannot be opened"):
        plugged(there=False)


def test_a_long_pause_does_not_hold_up_the_end(plugged):
    _, held = plugged(frame(1, 2, 3), every_s=3600.0)
    stop = threading.Event()
    thread = threading.Thread(target=lambda: list(held.items(stop.is_set)))
    thread.start()
    stop.set()
    thread.join(30)
    assert not thread.is_alive()
