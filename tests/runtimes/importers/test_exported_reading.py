"""A traced program is an annotation that anyone may have written: each of these is refused, and none of them runs anything."""

from __future__ import annotations

import copy
import json
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load, save

from portside.runtimes.importers.dispatch import import_model
from portside.runtimes.importers.exported import EXPORTED
from portside.runtimes.importers.exported_archive import MOST_TEXT, PROGRAM, TENSORS, Archive
from portside.runtimes.importers.exported_audit import audit
from portside.runtimes.importers.exported_grammar import check_expression, check_name, check_operator, check_path
from portside.runtimes.importers.exported_reading import exported_module, read_exported
from portside.runtimes.importers.program import ImportOptions
from portside.sdk.core.errors import FormatError, IntegrityError
from portside.sdk.core.manifest import Content
from portside.sdk.core.package import Package, annotate, open_folder, write

SYMBOL = "Symbol('s1', integer=True)"


class Halves(torch.nn.Module):
    """Two layers, a computed size, an operator with two results, and a buffer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.small = torch.nn.Linear(4, 64), torch.nn.Linear(64, 2)
        self.register_buffer("shift", torch.ones(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        best, _ = self.layer(torch.cat([x, -x])).max(-1, keepdim=True)
        return self.small(best[: x.shape[0]] * torch.ones(64)) + self.shift


@pytest.fixture(scope="module")
def genuine(tmp_path_factory: pytest.TempPathFactory) -> Package:
    """A package with its traced program."""
    program = import_model(Halves().eval(), ImportOptions({"x": np.ones((4, 4), np.float32)}))
    content = Content(program.signature, program.stages, {}, boundaries=program.boundaries)
    return write(content, program.files, tmp_path_factory.mktemp("genuine") / "package", annotation_files=program.annotation_files)


@pytest.fixture
def refuse(genuine: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """A function that puts a file in the place of the traced program, reads it, and returns the refusal.

    It works in an empty folder, which is still empty afterwards.
    """
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    made = copied(genuine, tmp_path / "copy")

    def read(data: bytes) -> str:
        with pytest.raises((FormatError, IntegrityError)) as caught:
            read_exported(annotate(made, {EXPORTED: data}))
        assert not list(here.iterdir()), "something ran"
        return str(caught.value)

    return read


def copied(package: Package, out: Path) -> Package:
    """A copy without its traced program: an annotation is written into the folder that has it."""
    return write(package.content, {path: package.read(path) for path in package.content.files}, out)


def archive_of(package: Package) -> Archive:
    return Archive.from_bytes(package.read(EXPORTED))


def changed(package: Package, change: Callable[[Any], object]) -> bytes:
    archive = archive_of(package)
    program = copy.deepcopy(archive.program)
    change(program)
    assert program != archive.program
    return Archive(program, archive.tensors).to_bytes()


def zipped(members: list[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    held = BytesIO()
    with zipfile.ZipFile(held, "w", method) as file:
        for name, data in members:
            file.writestr(zipfile.ZipInfo(name), data, compress_type=zipfile.ZIP_STORED if name == TENSORS else method)
    return held.getvalue()


def members_of(package: Package) -> list[tuple[str, bytes]]:
    with zipfile.ZipFile(BytesIO(package.read(EXPORTED))) as file:
        return [(name, file.read(name)) for name in file.namelist()]


def test_the_genuine_file_is_read_from_a_zip_of_any_hand(genuine: Package, tmp_path: Path) -> None:
    again = annotate(copied(genuine, tmp_path / "copy"), {EXPORTED: zipped(members_of(genuine))})
    for package in (genuine, again):
        assert isinstance(read_exported(package), torch.export.ExportedProgram)


HOSTILE = [
    "__import__('os').system('touch X')", "open('X', 'w')", "exec('import os')", "(lambda: open('X', 'w'))()", "().__class__.__bases__[0]",
    "Symbol('s1').__class__", "Integer(__import__('os').system('touch X'))", "Symbol(\"s1'); __import__('os').system('touch X'); ('\")",
    "Symbol('x')", "Symbol('s1', cls=open)", "Pow(Integer(10), Integer(100000000))", "Pow(Pow(Symbol('s1'), Integer(8)), Integer(8))",
    f"Integer({10**30})", "Integer(1.5)", "Integer('1')", "sympify(\"open('X','w')\")", "Function('f')(Integer(1))",
    "Lambda(Symbol('s1'), 1)",
    "Add(*[Integer(1)])", "Add(Integer(1), evaluate=False)", "s1 + 1", "[Integer(1)]", "Integer(1) if 1 else open('X')", "",
    "Add(" * 60 + SYMBOL + ")" * 60, f"Add({', '.join([SYMBOL] * 500)})", "(" * 5000 + ")" * 5000, "Factorial(Integer(10000000))", "\0",
]  # fmt: skip


@pytest.mark.parametrize("expression", HOSTILE)
def test_expressions_that_are_not_sizes(genuine: Package, refuse: Callable[..., str], expression: str) -> None:
    def sizes(program: Any) -> None:
        for meta in program["graph"]["tensor_values"].values():
            meta["sizes"] = [{"as_expr": {"expr_str": expression}} for _ in meta["sizes"]]

    told = refuse(changed(genuine, sizes))
    assert "not a plain expression" in told or "a symbol that torch cannot have written" in told


def test_expressions_that_are_sizes() -> None:
    for expression in (SYMBOL, f"Mul(Integer(-2), {SYMBOL})", f"Max(Integer(1), FloorDiv(Add({SYMBOL}, Rational(1, 2)), Integer(2)))",
                       f"Pow({SYMBOL}, Integer(2))", "true", f"Unequality(Mod({SYMBOL}, Integer(3)), Integer(0))"):  # fmt: skip
        check_expression(expression)


OPERATORS = [
    "os.system", "torch.ops.aten.from_file.default", "torch.load", "torch.ops.load_library", "torch.hub.load", "_operator.attrgetter",
    "_operator.methodcaller", "_operator.pow", "math.factorial", "torch.ops.aten.__class__.mro", "torch.ops.aten.add.__class__",
    "torch.ops.aten.nothing.default", "torch.ops.aten.add", "torch.ops.aten.add.Tensor.__call__", "torch.ops.higher_order.cond",
    "torch.ops.prim.Print.default", "torch.ops.aten._print.default", "#aoti:x", "builtins.eval", "torch._C._jit_init", "torch.sym_sqrt",
    "torch.ops.aten.__init__.default", "torch.ops.aten.add.Tensor\n", "",
]  # fmt: skip


@pytest.mark.parametrize("operator", OPERATORS)
def test_operators_that_no_program_has(genuine: Package, refuse: Callable[..., str], operator: str) -> None:
    def target(program: Any) -> None:
        program["graph"]["nodes"][0]["target"] = operator

    assert "names an operator" in refuse(changed(genuine, target))


def test_operators_that_programs_have() -> None:
    for operator in ("torch.ops.aten.add.Tensor", "torch.ops.aten.__and__.Tensor", "torch.ops.aten.masked_fill_.Scalar", "_operator.mul",
                     "torch.ops.aten.upsample_nearest2d.vec", "torch.sym_max", "torch.ops.aten.gelu.default"):  # fmt: skip
        check_operator(operator)


@pytest.mark.parametrize("name", ["a b", "x=1, y=__import__('os').system('touch X')", "class", "__builtins__", "x" * 300, "é", "", "x\n"])
def test_names_that_are_no_variables(genuine: Package, refuse: Callable[..., str], name: str) -> None:
    with pytest.raises(FormatError):
        check_name(name)

    def renamed(program: Any) -> None:
        graph, old = program["graph"], program["graph"]["inputs"][-1]["as_tensor"]["name"]
        text = json.dumps([graph, program["signature"]]).replace(json.dumps(old), json.dumps(name))
        program["graph"], program["signature"] = json.loads(text)

    assert refuse(changed(genuine, renamed))


@pytest.mark.parametrize("path", ["model.__class__", "model..weight", "../weights", "a b", "", ".".join("abcdefgh" * 5)])
def test_names_that_are_no_weights(path: str) -> None:
    with pytest.raises(FormatError):
        check_path(path)


def argument(program: Any, value: Any) -> None:
    program["graph"]["nodes"][0]["inputs"][0]["arg"] = value


def first(program: Any) -> Any:
    return next(iter(program["graph"]["tensor_values"].values()))


CHANGES: dict[str, Callable[[Any], object]] = {
    "a huge integer": lambda program: argument(program, {"as_int": 10**19}),
    "a graph in a graph": lambda program: argument(program, {"as_graph": {"name": "g", "graph": copy.deepcopy(program["graph"])}}),
    "an object": lambda program: argument(program, {"as_custom_obj": {"name": "o", "class_fqn": "os.system"}}),
    "an operator as a value": lambda program: argument(program, {"as_operator": "torch.load"}),
    "two kinds at once": lambda program: argument(program, {"as_int": 1, "as_bool": True}),
    "true for an integer": lambda program: argument(program, {"as_int": True}),
    "a value that nothing made": lambda program: argument(program, {"as_tensor": {"name": "nothing"}}),
    "another device": lambda program: argument(program, {"as_device": {"type": "cuda", "index": None}}),
    "text of several lines": lambda program: argument(program, {"as_string": "a\nb"}),
    "stack traces": lambda program: program["graph"]["nodes"][0]["metadata"].update(stack_trace="File /etc/passwd"),
    "modules to look up": lambda program: program["graph"]["nodes"][0]["metadata"].update(source_fn_stack="a,torch.load"),
    "metadata that is not ours": lambda program: program["graph"]["nodes"][0]["metadata"].update(custom='{"x": 1}'),
    "metadata that is not JSON": lambda program: program["graph"]["nodes"][0]["metadata"].update(custom="[" * 100_000),
    "another field": lambda program: program.update(guards_code=["__import__('os').system('touch X')"]),
    "lists in lists": lambda program: program.update(graph=[json.loads("[" * 400 + "]" * 400)]),
    "no graph": lambda program: program.pop("graph"),
    "a graph of another kind": lambda program: program.update(graph=[]),
    "a dtype beyond all": lambda program: first(program).update(dtype=63),
    "a negative dtype": lambda program: first(program).update(dtype=-1),
    "a sparse layout": lambda program: first(program).update(layout=1),
    "a symbol that is code": lambda program: program["ranges"].update({"s1 or exit()": {"min_val": 0, "max_val": 1}}),
    "a range of text": lambda program: program["ranges"].update({"s1": {"min_val": "0", "max_val": 1}}),
    "one output more": lambda program: program["graph"]["outputs"].append(program["graph"]["outputs"][0]),
    "no outputs": lambda program: (
        program["graph"]["outputs"].clear(), program["signature"]["output_specs"].clear(), program["rim"]["outputs"].clear()),
    "an input that the program has not": lambda program: program["rim"].update(inputs=["y"]),
    "an output that nothing makes": lambda program: program["rim"].update(outputs=["y"]),
    "trees that the package has not": lambda program: program["graph"]["nodes"][0]["metadata"].update(custom='{"trees": 1}'),
    "one input less": lambda program: (program["graph"]["inputs"].pop(), program["signature"]["input_specs"].pop()),
    "a weight that the package lacks": lambda program: next(iter(program["weights"].values())).update(tensor="../../etc/passwd"),
    "a weight turned round": lambda program: [place.update(transposed=not place["transposed"]) for place in program["weights"].values()],
    "no place for a weight": lambda program: program["weights"].clear(),
    "operands that do not fit": lambda program: program["graph"]["nodes"][0]["inputs"].clear(),
    "a node that is there twice": lambda program: program["graph"]["nodes"].append(program["graph"]["nodes"][0]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_programs_of_another_form(genuine: Package, refuse: Callable[..., str], change: str) -> None:
    assert refuse(changed(genuine, CHANGES[change]))


def test_zips_that_nobody_wrote(genuine: Package, refuse: Callable[..., str]) -> None:
    (name, text), tensors = members_of(genuine)
    assert name == PROGRAM
    for extra in ("X", "../X", "/tmp/X", "data.pkl", "data/constants.pt", PROGRAM):
        with pytest.warns(UserWarning, match="Duplicate") if extra == PROGRAM else _nothing():
            data = zipped([(name, text), tensors, (extra, b"cos\nsystem\n(S'touch X'\ntR.")])
        assert "other members" in refuse(data)
    assert "other members" in refuse(zipped([(name, text)]))
    assert "not what was written" in refuse(zipped([(name, text), tensors], zipfile.ZIP_LZMA))
    assert "not what was written" in refuse(zipped([(name, b" " * (MOST_TEXT + 1)), tensors]))
    for data in (b"", b"PK", zipped([])):
        assert refuse(data)


def _nothing() -> Any:
    from contextlib import nullcontext

    return nullcontext()


def test_a_member_that_is_larger_than_it_says(genuine: Package, refuse: Callable[..., str]) -> None:
    """Both headers of the member say 100 bytes; what is unpacked would be as large as memory."""
    data = bytearray(zipped([(PROGRAM, b" " * 10_000_000), (TENSORS, b"")]))
    size = (10_000_000).to_bytes(4, "little")
    assert data.count(size) == 2
    assert refuse(bytes(data.replace(size, (100).to_bytes(4, "little"))))


@pytest.mark.parametrize("name", ["forward", "train", "_parameters.x", "graph", "forward.x", "training"])
def test_weights_in_the_place_of_what_modules_have(genuine: Package, tmp_path: Path, name: str) -> None:
    def renamed(program: Any) -> None:
        old = next(iter(program["weights"]))
        for spec in program["signature"]["input_specs"]:
            if spec.get("parameter", {}).get("parameter_name") == old:
                spec["parameter"]["parameter_name"] = name
        program["weights"][name] = program["weights"].pop(old)

    package = annotate(copied(genuine, tmp_path / "copy"), {EXPORTED: changed(genuine, renamed)})
    try:
        module = exported_module(package)
    except FormatError:
        return
    x = torch.ones(2, 4)
    assert isinstance(module, torch.nn.Module)
    torch.testing.assert_close(module(x), exported_module(genuine)(x))  # type: ignore[operator]


def test_any_byte_may_be_another(genuine: Package) -> None:
    data, random = genuine.read(EXPORTED), np.random.default_rng(0)
    for _ in range(400):
        damaged = bytearray(data)
        for place in random.integers(0, len(data), 1 + random.integers(3)):
            damaged[place] = random.integers(256)
        try:
            audit(Archive.from_bytes(bytes(damaged)).program)
        except FormatError:
            continue


def test_every_truncation_and_damage_of_the_file(genuine: Package, refuse: Callable[..., str]) -> None:
    data = genuine.read(EXPORTED)
    for length in {*range(0, len(data), max(1, len(data) // 40)), len(data) - 1}:
        assert refuse(data[:length])


@pytest.mark.parametrize("text", [
    b"[1]", b"{", b"\xff",
    b"[" * 200_000, b'{"format": 1, "format": 1}', b'{"torch": NaN}', b'{"torch": 1e', b'{"torch": ' + b"9" * 5000 + b"}",
])  # fmt: skip
def test_text_that_is_not_json(genuine: Package, refuse: Callable[..., str], text: bytes) -> None:
    assert "JSON" in refuse(zipped([(PROGRAM, text), (TENSORS, b"")]))


def test_tensors_that_are_not_safetensors_or_not_expected(genuine: Package, refuse: Callable[..., str]) -> None:
    archive = archive_of(genuine)
    held = load(archive.tensors)
    name = next(iter(held))
    place = next(iter(archive.program["weights"]))
    less = save({key: value for key, value in held.items() if key != name})
    for tensors in (b"\x80\x04cos\nsystem\n", b"\xff" * 16, archive.tensors[:-1], less,
                    save({**held, name: held[name].reshape(-1)[:1]}), save({**held, place: np.zeros(3, np.float32)})):  # fmt: skip
        assert refuse(Archive(archive.program, tensors).to_bytes())


def test_other_bytes_than_the_manifest_says(genuine: Package, tmp_path: Path) -> None:
    made = annotate(copied(genuine, tmp_path / "copy"), {EXPORTED: genuine.read(EXPORTED)})
    file = made.path / EXPORTED
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))
    with pytest.raises(IntegrityError):
        read_exported(made)
    with pytest.raises(IntegrityError):
        open_folder(made.path)
