"""Keys and their file: made, matched, written, watched; what is kept is never what was shown."""

import json
import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portside.cloud.security import keys as of
from portside.cloud.security.key_file import KeyFile, read, write
from portside.cloud.security.keys import Key, Rate
from portside.sdk.core.errors import FormatError, InputError


def test_a_key_is_found_by_its_text_alone():
    made = [of.new(f"k{n}", now=1.0) for n in range(20)]
    keys = {key.id: key for key, _ in made}
    assert all(of.match(keys, text) is key for key, text in made)
    assert len({text for _, text in made}) == 20 and all(len(text.split("_", 2)[2]) == 43 for _, text in made)


def test_nothing_of_the_secret_is_kept():
    key, text = of.new("ana", now=1.0)
    assert text.split("_", 2)[2] not in json.dumps(key.to_dict())


@given(st.text(max_size=100))
def test_no_other_text_matches(text):
    key, real = of.new("ana", now=1.0)
    keys = {key.id: key}
    assert of.match(keys, text) is None
    assert of.match(keys, real[:-1]) is None and of.match(keys, real + "x") is None
    assert of.match(keys, f"psk_{key.id}_{text}") is None


@given(
    name=st.text(min_size=1, max_size=64).filter(str.isprintable),
    scopes=st.lists(st.sampled_from(of.SCOPES), min_size=1, unique=True),
    expires=st.none() | st.floats(0, 1e12),
    rate=st.none() | st.builds(Rate, st.none() | st.floats(0.1, 1e6), st.none() | st.floats(0.1, 1e6), st.floats(0.1, 60)),
)
def test_a_key_survives_its_file(name, scopes, expires, rate):
    key, _ = of.new(name, scopes, ["a", "b"], now=5.0, expires=expires, rate=rate)
    assert Key.from_dict(json.loads(json.dumps(key.to_dict()))) == key


@pytest.mark.parametrize(
    ("rest", "field"), [({"name": ""}, "name"), ({"name": "a\nb"}, "name"), ({"scopes": ["root"]}, "scopes"), ({"scopes": []}, "scopes"),
                        ({"deployments": []}, "deployments")]
)  # fmt: skip
def test_what_no_key_can_be(rest, field):
    with pytest.raises(InputError) as caught:
        of.new(**{"name": "a", "now": 1.0, **rest})
    assert caught.value.field == field


def test_the_file_is_the_owners_alone_and_replaced_at_once(tmp_path):
    file = tmp_path / "keys.json"
    key, _ = of.new("ana", now=1.0)
    write(file, [key])
    assert file.stat().st_mode & 0o777 == 0o600 and read(file) == {key.id: key}
    file.chmod(0o640)
    write(file, [])
    assert file.stat().st_mode & 0o777 == 0o640 and read(file) == {} and [one.name for one in tmp_path.iterdir()] == ["keys.json"]


OTHER = ['{"version": 2, "keys": []}', '{"version": 1, "keys": [{}]}', '{"version": 1, "keys": 3}']


@pytest.mark.parametrize("text", ["", "[]", "{}", "\x00", *OTHER])
def test_what_is_no_file_of_keys(tmp_path, text):
    file = tmp_path / "keys.json"
    file.write_text(text)
    with pytest.raises(FormatError):
        read(file)


def changed(file, keys):
    """Write, so that the time of the file surely changes."""
    write(file, keys)
    os.utime(file, ns=(time.time_ns(), file.stat().st_mtime_ns + 1_000_000))


def test_a_running_server_follows_the_file(tmp_path, caplog):
    file = tmp_path / "keys.json"
    one, two = of.new("one", now=1.0)[0], of.new("two", now=1.0)[0]
    write(file, [one])
    watched = KeyFile(file)
    assert set(watched.at(0.0)) == {one.id}
    changed(file, [one, two])
    assert set(watched.at(0.5)) == {one.id}, "not looked at within a second"
    assert set(watched.at(1.5)) == {one.id, two.id}
    file.write_text("broken")
    assert set(watched.at(3.0)) == {one.id, two.id} and "stay as they were" in caplog.text
    changed(file, [two])
    assert set(watched.at(5.0)) == {two.id}
    file.unlink()
    assert watched.at(7.0) == {}
