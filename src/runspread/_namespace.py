"""Namespaces whose names load when they are first used; the type stub beside a module is its list of names."""

from __future__ import annotations

import ast
import importlib
import sys

TYPE_CHECKING = False  # typing itself takes longer to import than all that is done here
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any


def lazy_names(module: str, file: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return ``__getattr__``, ``__dir__`` and ``__all__`` of a module, as its stub declares them.

    Parameters
    ----------
    module : str
        ``__name__``.
    file : str
        ``__file__``; the stub has the same name with the suffix ``.pyi``.
    """
    base = file.removesuffix(".py")
    package = base.endswith("__init__")
    homes = _homes(base + ".pyi", module if package else module.rpartition(".")[0])

    def get(name: str) -> Any:
        name = _ALIASES.get(name, name)
        if name not in homes:
            raise AttributeError(f"module {module!r} has no attribute {name!r}{_elsewhere(name)}")
        home, attribute = homes[name]
        found = importlib.import_module(home)
        value = getattr(found, attribute) if attribute else found
        vars(sys.modules[module])[name] = value = _explained(value, module, name)
        for public in () if attribute else vars(found).get("__all__", ()):  # of a namespace that is a plain module
            vars(found)[public] = _explained(getattr(found, public), home, public)
        return value

    return get, lambda: sorted(homes), sorted(homes)


def _explained(value: Any, module: str, name: str) -> Any:
    """Return a function as a namespace hands it out: it says which argument it failed on. All else stays as it is."""
    if type(value) is not type(_explained) or hasattr(value, "explained"):
        return value
    from ._arguments import explained

    return explained(value, module, name)


def _homes(stub: str, package: str) -> dict[str, tuple[str, str]]:
    """Return name to (module that defines it, attribute there, or nothing for the module itself)."""
    homes: dict[str, tuple[str, str]] = {}
    with open(stub, encoding="utf-8") as text:  # noqa: PTH123  (pathlib takes longer to import than all else here)
        tree = ast.parse(text.read())
    for node in tree.body:
        if not isinstance(node, ast.ImportFrom):
            continue
        base = package.rsplit(".", node.level - 1)[0]
        for alias in node.names:
            if node.module is None:
                homes[alias.name] = (f"{base}.{alias.name}", "")
            else:
                homes[alias.asname or alias.name] = (f"{base}.{node.module}", alias.name)
    return homes


_ALIASES = {"poke_sensitivity": "perturbation_sensitivity"}  # the paper's own word; not listed

# Names of before this layout that are called otherwise now.
_RENAMED = {
    "Split": "TauSplit",
    "Look": "InterimLook",
    "PokeSensitivity": "PerturbationSensitivity",
    "RunFacts": "RunMetadata",
    "SeedSelection": "BestSeedSelection",
    "SelectionModel": "BestSeedModel",
    "OutsideDetection": "OodDetection",
    "holm": "holm_adjust",
    "noise_level": "perturbation_tolerance",
    "outside_detection": "ood_detection",
    "plot_outside": "plot_ood",
    "plot_seed_selection": "plot_best_seed_selection",
    "plot_selection_model": "plot_best_seed_model",
    "same_model": "same",
    "scores": "ensemble_scores",
    "seed_selection": "best_seed_selection",
    "seed_selection_model": "best_seed_model",
    "variance_by_source": "sources",
    "write_report": "report",
}


def modules_that_define(function: str, folders: Iterable[str]) -> list[str]:
    """Return the modules of a package, by its ``__path__``, that define a function, without importing them."""
    from pathlib import Path

    found = sorted(file for folder in folders for file in Path(folder).glob("*.py"))
    return [file.stem for file in found if f"\ndef {function}(" in file.read_text(encoding="utf-8")]


def _elsewhere(name: str) -> str:
    """Return where a name is that was asked for in the wrong place, as the end of a sentence."""
    from pathlib import Path

    root = Path(__file__).parent
    name = _RENAMED.get(name, name)
    if name in importlib.import_module("runspread.errors").__all__:
        return f"; it is runspread.errors.{name}"
    stubs = sorted(root.rglob("*.pyi"), key=lambda stub: len(stub.parts))
    for stub in stubs:
        inside = stub.parent if stub.stem == "__init__" else stub.with_suffix("")
        place = ".".join(("runspread", *inside.relative_to(root).parts))
        if name in _homes(str(stub), place):
            return f"; it is {place}.{name}"
    return ""
