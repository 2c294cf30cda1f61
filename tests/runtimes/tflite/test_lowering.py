"""The child process: what it is told, how it dies, how it is killed, and what its errors become."""

import os
import sys
import time
from pathlib import Path

import pytest

from portside.runtimes.tflite.lowering import PYTHON, lower, workplace
from portside.runtimes.tflite.plan import Plan, Slot
from portside.runtimes.tflite.refusals import refused
from portside.runtimes.tflite.request import Answer, Job, Request
from portside.sdk.core.errors import EngineError, FormatError, MissingExtraError, UnsupportedError

PLAN = Plan((Slot("x", "x", "f32", ("batch",)),), (), {"b1": {"batch": 1}}, "batch")
REQUEST = Request((Job("00-main", PLAN),), "onnx")


@pytest.fixture
def child(tmp_path, monkeypatch):
    """Let a script of its own stand for the Python that lowers."""

    def stand_in(lines):
        script = tmp_path / "python"
        script.write_text(f"#!{sys.executable}\nimport os, sys, time\nfolder = sys.argv[4]\n" + "\n".join(lines) + "\n")
        script.chmod(0o755)
        monkeypatch.setenv(PYTHON, str(script))

    return stand_in


def test_a_request_and_an_answer_survive_their_files(tmp_path):
    REQUEST.write(tmp_path)
    assert Request.read(tmp_path) == REQUEST
    answer = Answer(["onnx"], [""], {"torch": "2"}, None)
    answer.write(tmp_path)
    assert Answer.read(tmp_path) == answer


def test_the_answer_of_the_child_is_read(child):
    child(["open(folder + '/answer.json', 'w').write('{\"sources\": [\"onnx\"], \"notes\": [\"\"], \"versions\": {\"torch\": \"9\"}}')"])
    with workplace() as folder:
        assert lower(REQUEST, folder).versions == {"torch": "9"}
        assert (folder / "request.json").is_file()
    assert not folder.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="nothing is locked or removed on Windows")
def test_what_a_killed_compile_left_in_the_temporary_folder_is_removed_by_the_next_one(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with workplace() as held:
        left = held.with_name(held.name + "-left")
        left.mkdir()
        (left / "00-main.onnx").write_bytes(b"weights")
        for folder in (held, left):  # neither is new
            os.utime(folder, (1, 1))
        with workplace():
            assert held.is_dir()  # its process lives
            assert not left.exists()
    assert list(tmp_path.iterdir()) == []


def test_its_refusal_is_raised_as_what_it_is(child):
    child(["import json", "said = {'kind': 'UnsupportedError', 'what': 'TFLite cannot hold Foo', 'fix': 'Do without.'}",
           "open(folder + '/answer.json', 'w').write(json.dumps({'refusal': said}))"])  # fmt: skip
    with workplace() as folder, pytest.raises(UnsupportedError, match=r"TFLite cannot hold Foo\. Do without\."):
        lower(REQUEST, folder)


def test_its_last_words_are_shown_when_it_dies(child, capfd):
    child(["[print('line', n) for n in range(100)]", "print('the reason', file=sys.stderr, flush=True)", "os.abort()"])
    with workplace() as folder, pytest.raises(EngineError, match="the reason") as caught:
        lower(REQUEST, folder)
    assert "line 99" in str(caught.value)
    assert "line 50" not in str(caught.value)
    assert "the reason" not in "".join(capfd.readouterr())  # nothing reaches the terminal


def test_a_module_that_its_environment_lacks_names_the_extra(child):
    child(["sys.exit(\"ModuleNotFoundError: No module named 'litert_torch'\")"])
    with workplace() as folder, pytest.raises(MissingExtraError, match=r"portside\[tflite-compile\]"):
        lower(REQUEST, folder)


def test_out_of_time_it_is_killed_with_everything_it_started(child, tmp_path):
    pids = tmp_path / "pids"
    child(["import subprocess", "other = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])",
           f"open({str(pids)!r}, 'w').write(f'{{os.getpid()}} {{other.pid}}')", "time.sleep(600)"])  # fmt: skip
    with workplace() as folder, pytest.raises(EngineError) as caught:
        lower(REQUEST, folder, timeout_s=3)
    assert caught.value.reason == "deadline"
    for pid in map(int, pids.read_text().split()):
        for _ in range(100):
            if not alive(pid):
                break
            time.sleep(0.05)
        assert not alive(pid)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_python_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setenv(PYTHON, "/nowhere/python")
    with workplace() as folder, pytest.raises(FormatError, match="/nowhere/python"):
        lower(REQUEST, folder)


def test_a_missing_converter_names_the_pip_command(monkeypatch):
    monkeypatch.delenv(PYTHON, raising=False)
    monkeypatch.setattr("portside.runtimes.tflite.lowering.find_spec", lambda name: None)
    with workplace() as folder, pytest.raises(MissingExtraError, match=r"pip install 'portside\[tflite-compile\]'"):
        lower(REQUEST, folder)


MISSING = """Lowering not found: aten._linalg_eigh.default

While executing %_linalg_eigh : [num_users=1] = call_function[target=torch.ops.aten._linalg_eigh.default](args = (%view_2,), kwargs = {})
Original traceback:
File "/home/me/model.py", line 11, in forward
    return torch.linalg.eigh(x).eigenvalues
Use tlparse to see full graph."""
TRACED = """Abstract tracer value encountered where concrete value is expected: traced array with shape int64[]
While executing %nonzero : [num_users=2] = call_function[target=torch.ops.aten.nonzero.default](args = (%x,), kwargs = {})"""


@pytest.mark.parametrize(("text", "named"), [
    (MISSING, ["aten._linalg_eigh.default", "%_linalg_eigh", "/home/me/model.py:11: return torch.linalg.eigh(x)", "'main'"]),
    (TRACED, ["aten.nonzero.default", "%nonzero"]),
    ("loc(\"x\"): error: failed to legalize operation 'stablehlo.fft'", ["stablehlo.fft"]),
    ("something new", ["RuntimeError: something new", "onnx-cpu"]), ("", ["no message"]),
])  # fmt: skip
def test_errors_of_the_converter_become_sentences_with_a_name(text, named):
    error = refused(RuntimeError(text), "main")
    assert isinstance(error, UnsupportedError)
    assert all(part in str(error) for part in named), str(error)
    assert "\n" not in str(error)


def test_nothing_of_the_environment_is_lost_on_the_child(child, monkeypatch):
    monkeypatch.setenv("MARK", "here")
    child(["assert os.environ['MARK'] == 'here' and os.environ['PYTHONHASHSEED'] == '0'",
           "assert sys.argv[1:4] == ['-P', '-m', 'portside.runtimes.tflite.lower_process']",
           f"assert int(sys.argv[5]) == {os.getpid()}", "open(folder + '/answer.json', 'w').write('{}')"])  # fmt: skip
    with workplace() as folder:
        assert lower(REQUEST, folder) == Answer()
