"""The type stubs name what is there."""

import ast
import inspect
from pathlib import Path

import ebm_anatomy as ebm
from ebm_anatomy import _engine


def test_the_stub_has_every_name_and_argument():
    folder = Path(ebm.__file__).parent
    assert (folder / "py.typed").exists()
    stub = ast.parse((folder / "_engine.pyi").read_text(encoding="utf-8"))
    public = {name for name in dir(_engine) if not name.startswith("__")} | {"__version__"}
    named = set()
    for node in stub.body:
        if isinstance(node, ast.AnnAssign):
            named.add(node.target.id)
        elif isinstance(node, ast.FunctionDef):
            named.add(node.name)
            assert arguments(node) == list(inspect.signature(getattr(_engine, node.name)).parameters)
        elif isinstance(node, ast.ClassDef):
            named.add(node.name)
            of_class(getattr(_engine, node.name), node)
    assert named == public


def of_class(real, stub):
    methods = {node.name: node for node in stub.body if isinstance(node, ast.FunctionDef)}
    public = {name for name in vars(real) if not name.startswith("_")}
    assert {name for name in methods if not name.startswith("_")} == public
    for name, node in methods.items():
        attribute = getattr(real, name)
        assert attribute.__doc__, name
        if name == "__new__":
            assert arguments(node)[1:] == list(inspect.signature(real).parameters)
        elif callable(attribute):
            expected = arguments(node)
            if isinstance(vars(real)[name], classmethod) or inspect.ismethod(attribute):
                expected = expected[1:]
            elif inspect.isbuiltin(attribute):
                expected = expected[1:]
            assert expected == list(inspect.signature(attribute).parameters), name


def arguments(function):
    return [argument.arg for argument in function.args.args + function.args.kwonlyargs]
