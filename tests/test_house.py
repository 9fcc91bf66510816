"""The house: floors, circles, sizes, and that what is written about names is true."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import re
import statistics
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

import runspread as rs

ROOT = Path(rs.__file__).parent
REPOSITORY = Path(__file__).parents[1]
FLOORS = (  # a module imports from its own line and from those above it; names are what follows "runspread."
    (
        *("_words", "_optional", "_cores", "_compiled", "errors", "_namespace", "_arguments", "_checks", "_engine"),
        *("_latex", "_papers", "_results", "_relabelling", "_plotting"),
    ),
    ("_reading",),
    ("methods",),
    ("studies", "nn", "campaigns"),
    ("importers",),
    ("live",),
    ("training",),
    ("_report", "_cli", "plots", "testing"),
)


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix("__init__").rstrip(".")


MODULES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}


def imports_of(name: str, *, inside_functions: bool) -> Iterator[str]:
    """Modules of the package that one imports, at load or also inside functions; not those for type checkers alone."""
    path = MODULES[name]
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    nodes: list[ast.AST] = [ast.parse(path.read_text())]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)) and not inside_functions:
            continue
        if isinstance(node, ast.ImportFrom) and node.level:
            base = [*package[: len(package) - node.level + 1], *(node.module or "").split(".")]
            target = ".".join(part for part in base if part)
            for alias in node.names:
                inner = f"{target}.{alias.name}".lstrip(".")
                yield inner if inner in MODULES else target
        nodes += ast.iter_child_nodes(node)


def floor_of(name: str) -> int:
    top = name.split(".")[0]
    return next((k for k, floor in enumerate(FLOORS) if top in floor), len(FLOORS))


def circles(*, inside_functions: bool) -> list[list[str]]:
    """Groups of modules that reach each other (Tarjan)."""
    graph = {name: sorted(set(imports_of(name, inside_functions=inside_functions)) - {name, ""}) for name in MODULES}
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        order[name] = low[name] = len(order)
        stack.append(name)
        for other in graph[name]:
            if other not in order:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], order[other])
        if low[name] == order[name]:
            group = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(group) > 1:
                found.append(sorted(group))

    for name in graph:
        if name not in order:
            visit(name)
    return found


def functions() -> Iterator[tuple[int, str]]:
    for name, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                first = node.body[0]
                documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
                doc = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
                yield (node.end_lineno or 0) - node.lineno + 1 - doc, f"{name}.{node.name}"


def public() -> dict[str, object]:
    """Every public object by the name that a user writes."""
    found: dict[str, object] = {}

    def walk(place: types.ModuleType, path: str) -> None:
        for name in place.__all__:
            value = getattr(place, name)
            if inspect.ismodule(value):
                if hasattr(value, "__all__"):
                    walk(value, f"{path}.{name}")
            else:
                found[f"{path}.{name}"] = value

    walk(rs, "rs")
    return found


def test_floors_are_imported_downwards():
    """The one step up at run time: a study that writes its own report."""
    up = {
        (name, target)
        for name in MODULES
        for target in imports_of(name, inside_functions=True)
        if name and target and floor_of(target) > floor_of(name)
    }
    assert up == {("studies.study", "_report.page")}


def test_methods_know_no_study_no_torch_and_no_matplotlib():
    for name in MODULES:
        if name.startswith(("methods", "_reading")):
            at_load = ast.parse(MODULES[name].read_text()).body
            names = {
                alias.name.split(".")[0] for node in at_load if isinstance(node, ast.Import) for alias in node.names
            }
            names |= {(n.module or "").split(".")[0] for n in at_load if isinstance(n, ast.ImportFrom) and not n.level}
            assert not names & {"torch", "matplotlib", "click", "pandas"}, name


def test_no_circle_of_imports():
    assert circles(inside_functions=False) == []
    assert circles(inside_functions=True) == []


def test_sizes():
    lengths = sorted(functions())
    values = [length for length, _ in lengths]
    assert statistics.median(values) <= 7
    assert values[int(0.9 * len(values))] <= 20
    assert lengths[-1][0] <= 60, lengths[-3:]
    long = {name: len(path.read_text().splitlines()) for name, path in MODULES.items()}
    assert max(long.values()) <= 450, [name for name, lines in long.items() if lines > 450]


def test_verbs_have_few_parameters():
    counts = {
        name: len(inspect.signature(value).parameters) for name, value in public().items() if inspect.isfunction(value)
    }
    assert statistics.median(counts.values()) <= 4
    assert {name: count for name, count in counts.items() if count > 12} == {}


def test_results_have_few_fields():
    many = {
        name: len(dataclasses.fields(value))
        for name, value in public().items()
        if inspect.isclass(value) and dataclasses.is_dataclass(value)
    }
    own = {name: count - 2 for name, count in many.items()}  # every result has `excluded` and `warnings`
    assert {name: count for name, count in own.items() if count > 20} == {}


def test_no_module_has_the_name_of_a_public_function_beside_it():
    for name, path in MODULES.items():
        stub = path.with_suffix(".pyi")
        if path.name == "__init__.py" and stub.exists():
            inside = {module.rpartition(".")[2] for module in MODULES if module.rpartition(".")[0] == name}
            place = importlib.import_module(f"runspread.{name}".rstrip("."))
            shared = {one for one in inside & set(place.__all__) if not inspect.ismodule(getattr(place, one))}
            assert not shared, name


def written_names() -> list[tuple[str, str]]:
    texts = [*ROOT.rglob("*.py"), *ROOT.rglob("*.jinja"), *(REPOSITORY / "docs").rglob("*.md")]
    texts += [REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md")]
    texts += [*(REPOSITORY / "studies").rglob("*.py"), *(REPOSITORY / "benchmarks").rglob("*.py")]
    pattern = re.compile(r"(?<![\w.])rs((?:\.[A-Za-z_]\w*)+)")
    return [(path.name, found) for path in texts if path.is_file() for found in pattern.findall(path.read_text())]


def test_every_name_that_is_written_down_exists():
    missing = set()
    for file, path in written_names():
        value: object = rs
        for part in path[1:].split("."):
            if not (inspect.ismodule(value) or inspect.isclass(value)):
                break
            try:
                value = getattr(value, part)
            except AttributeError:
                missing.add((file, f"rs{path}"))
                break
    assert missing == set()


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.pyi")), ids=lambda path: module_name(path) or "top")
def test_a_stub_lists_what_it_imports(path):
    stub = ast.parse(path.read_text())
    imported = {
        alias.asname or alias.name for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    place = importlib.import_module(f"runspread.{module_name(path)}".rstrip("."))
    listed = next(
        ast.literal_eval(node.value)
        for node in stub.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    )
    assert imported == set(listed) == set(place.__all__)
    assert listed == sorted(listed)
    assert {name for name in dir(place) if not name.startswith("_")} == set(listed)


REPLACED = {  # what a user reads has one word for one thing
    r"(?<![Pp]ower )(?<![Pp]ower-)\blaws?\b": "distribution",
    r"\btold (from|apart)\b|\btells? (\w+ ){0,3}apart\b": "distinguishable, distinguish",
    r"\bleft out\b|\b[Ll]ea(ve|ves|ving) out\b|\bset(s|ting)? aside\b": "excluded",
    r"\b[Pp]oke[ds]?\b": "perturbation",
    r"\b(one|two|values?|row|dot|bytes|seconds|weight|number|label) an? (run|example|class|layer|cluster)\b": "per",
    r"[Rr]eservations?\b": "caveats",
    r"; expected\b": "Expected",
}


def test_words_that_were_replaced_do_not_come_back():
    found = []
    for path in MODULES.values():
        place = path.relative_to(ROOT).as_posix()
        if place == "_words.py":  # that one knows what keywords were called
            continue
        text = path.read_text()
        found += [(place, hit[0], word) for old, word in REPLACED.items() for hit in re.finditer(old, text)]
    for path in (REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md")):
        text = path.read_text()
        found += [(path.name, hit[0], word) for old, word in REPLACED.items() for hit in re.finditer(old, text)]
    assert found == []


def test_plots_has_every_plot():
    """A picture that is not in its stub cannot be found by name."""
    drawn = {
        node.name
        for name, path in MODULES.items()
        for node in ast.parse(path.read_text()).body
        if name.startswith(("methods", "training", "nn")) and getattr(node, "name", "").startswith("plot_")
    }
    assert drawn == {name for name in rs.plots.__all__ if name.startswith("plot_")}
