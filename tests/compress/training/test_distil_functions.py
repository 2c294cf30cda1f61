"""Functions that teach: named in a recipe as FILE.py:OBJECT, known again by name and text, and asked once when a run was killed."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

import portside as ps
from portside.compress.base import PassContext
from portside.compress.distil_functions import function_key
from portside.runtimes.reference import Reference
from portside.sdk.cli.main import main
from portside.sdk.core.errors import InputError

ORACLE = '''
import numpy as np
from pathlib import Path


def ask(inputs):
    with Path("asked").open("a") as file:
        file.write(str(len(inputs["x"])) + " ")
    chance = (inputs["x"][:, 0] > {border}).astype(float)
    return np.stack([1 - chance, chance], axis=1)


def made():
    return ask


nothing = 3
'''


@pytest.fixture(scope="module")
def rows():
    return np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def package(rows, tmp_path_factory):
    model = DecisionTreeClassifier(max_depth=2).fit(rows, (rows[:, 1] > 0).astype(int))
    return ps.pack(model, name="second", examples={"x": rows[:64]}, out=tmp_path_factory.mktemp("package") / "second")


@pytest.fixture
def here(tmp_path, monkeypatch, rows):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "oracle.py").write_text(ORACLE.format(border=0))
    np.savez(tmp_path / "rows.npz", x=rows)
    return tmp_path


def decided(package, rows):
    return next(iter(Reference().open(package).predict({"x": rows}).values()))


STEP = {"kind": "distil", "student": "sklearn.tree:DecisionTreeClassifier", "options": {"max_depth": 2, "random_state": 0}}


@pytest.mark.parametrize("name", ["ask", "made"])
def test_a_recipe_names_a_function_of_a_file(name, package, rows, here) -> None:
    plan = ps.Recipe.from_dict({"pass": [{**STEP, "teacher": f"oracle.py:{name}"}]})
    made = ps.compress(package, plan, ps.Data({"x": rows}), out="made")
    assert (decided(made, rows) == (rows[:, 0] > 0)).all()
    assert made.content.recipe[-1]["teacher"] == [f"function oracle.py:{name}"]
    assert ps.Recipe.from_dict(plan.to_dict()).to_dict() == plan.to_dict()


def test_the_command_line_takes_such_a_recipe(package, rows, here, capsys) -> None:
    lines = ["[[pass]]", 'kind = "distil"', 'student = "sklearn.tree:DecisionTreeClassifier"', 'teacher = "oracle.py:ask"']
    (here / "recipe.toml").write_text("\n".join([*lines, "options = {max_depth = 2}"]))
    assert main(["compress", str(package.path), "recipe.toml", "rows.npz", "--out", "made", "--resume", "kept"]) == 0
    assert (decided(ps.open("made"), rows) == (rows[:, 0] > 0)).all()


def test_a_file_runs_once_until_it_changes(package, rows, here) -> None:
    def run(out):
        plan = ps.Distil(DecisionTreeClassifier(max_depth=2), teacher="oracle.py:made")
        ps.compress(package, ps.Recipe([plan]), ps.Data({"x": rows}), out=out)
        return (here / "ran").read_text()

    text = ORACLE.format(border=0) + "\nwith Path('ran').open('a') as file:\n    file.write('.')\n"
    (here / "oracle.py").write_text(text)
    assert run("0") == run("1") == "."
    (here / "oracle.py").write_text(text + "\n")
    assert run("2") == ".."


def test_a_file_that_is_not_there_is_said_before_any_work(here) -> None:
    with pytest.raises(InputError, match="no such Python file"):
        ps.Recipe.from_dict({"pass": [{**STEP, "teacher": "missing.py:ask"}]})


def test_an_object_that_is_no_teacher_is_refused(package, rows, here) -> None:
    for name in ("nothing", "Path", "none"):
        with pytest.raises(InputError):
            plan = ps.Distil(DecisionTreeClassifier(), teacher=[f"oracle.py:{name}", package])
            ps.compress(package, plan, ps.Data({"x": rows}), out="none")
    assert not (here / "none").exists()


@pytest.mark.slow
def test_a_function_is_asked_once_until_its_file_or_the_rows_change(package, rows, here) -> None:
    def run(number, rows=rows):
        plan = ps.Distil(DecisionTreeClassifier(max_depth=2, random_state=0), teacher="oracle.py:ask")
        made = plan.run(package, ps.Data({"x": rows}), PassContext(here / f"{number}", checkpoints=here / "kept"))
        return made, (here / "asked").read_text().split()

    assert run(0)[1] == ["200"]
    assert run(1)[1] == ["200"]
    assert run(2, rows[:100])[1] == ["200", "100"]
    (here / "oracle.py").write_text(ORACLE.format(border=0.5))
    made, asked = run(3)
    assert asked == ["200", "100", "200"]
    assert (decided(made, rows) == (rows[:, 0] > 0.5)).all()


@pytest.mark.slow
@pytest.mark.long
def test_a_finished_pass_is_made_again_where_the_function_changed(package, rows, here) -> None:
    def run(out):
        plan = ps.Distil(DecisionTreeClassifier(max_depth=2, random_state=0), teacher="oracle.py:ask")
        return ps.compress(package, plan, ps.Data({"x": rows}), out=out, resume="kept")

    first = run("0")
    assert run("1").digest == first.digest
    (here / "oracle.py").write_text(ORACLE.format(border=0.5))
    assert run("2").digest != first.digest


class Server:
    def __init__(self, url):
        self.url = url

    def ask(self, inputs):
        return inputs

    def __call__(self, inputs):
        return inputs


def test_functions_are_told_apart_by_text_and_by_what_they_carry() -> None:
    def of(border):
        def ask(inputs):
            return inputs["x"] > border

        return ask

    one = lambda inputs: inputs["x"] > 1  # noqa: E731
    two = lambda inputs: inputs["x"] > 2  # noqa: E731
    same = [function_key(held) for held in (of(1), of(1))]
    assert same[0] == same[1]
    held = [one, two, of(1), of(2), partial(of, 1), partial(of, 2), Server("a"), Server("b"), Server("a").ask, Server("b").ask]
    keys = [str(function_key(part)) for part in held]
    assert len(set(keys)) == len(keys)
    assert "0x" not in "".join(keys), "an address in memory is another one in the next process"


def test_a_function_teaches_values_to_a_regressor(tmp_path) -> None:
    x, y = load_diabetes(return_X_y=True)
    model = LinearRegression().fit(x, y)
    package = ps.pack(model, name="l", examples={"x": x[:64]}, out=tmp_path / "linear")
    plan = ps.Distil(DecisionTreeRegressor(max_depth=6), teacher=lambda inputs: 2 * model.predict(inputs["x"]))
    made = plan.run(package, ps.Data({"x": x}), PassContext(tmp_path / "made"))
    answers = decided(made, x.astype(np.float32)).ravel()
    assert np.corrcoef(answers, model.predict(x))[0, 1] > 0.9
    assert np.abs(answers - 2 * model.predict(x)).mean() < 40


def test_models_and_arrays_that_a_function_carries_are_part_of_what_it_is(rows):
    def asking(held):
        return lambda inputs: held.predict(inputs["x"]) if hasattr(held, "predict") else held

    one, same = (LinearRegression().fit(rows, rows[:, 0]) for _ in range(2))
    other = LinearRegression().fit(rows, rows[:, 1])
    assert function_key(asking(one)) == function_key(asking(same)) != function_key(asking(other))
    assert function_key(asking(rows)) == function_key(asking(rows.copy())) != function_key(asking(rows + 1))
    assert function_key(partial(np.add, rows)) != function_key(partial(np.add, rows + 1))
    assert function_key(asking(open)) == function_key(asking(open))
    assert function_key(asking(lambda: 1))[-2]["held"] == "builtins.function"
