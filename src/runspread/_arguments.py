"""What a public function was given, where it failed, held against the types that its annotations name.

The namespaces hand out every public function so (`explained`); within the package functions call each other as they
are. What functions refuse themselves, they say better; this is for the rest, which would end in an error of Python or
NumPy somewhere inside. Annotations that name anything else than plain types and classes are not looked at.
"""

from __future__ import annotations

import ast
import errno
import functools
import inspect
import itertools
import math
import sys
import typing
from collections.abc import Callable, Iterable, Mapping
from numbers import Real
from os import PathLike
from typing import Any, NamedTuple

from .errors import InputError, RunspreadError

_MOST = 1000  # items of a sequence that are looked at
_PUBLIC: dict[Callable[..., Any], Callable[..., Any]] = {}  # functions as users have them, by those of the package


class Kind(NamedTuple):
    """One type that an argument may have: its test, and how it is called in an error."""

    holds: Callable[[Any], bool]
    words: str


def explained(function: Callable[..., Any], module: str, name: str) -> Callable[..., Any]:
    """Return a function whose failure names the argument that is of another type than its annotation names.

    One and the same for all namespaces; it belongs to the first that asks.

    Parameters
    ----------
    function : callable
        The function.
    module, name : str
        Where users, and pickle, find what is returned.
    """
    if function in _PUBLIC:
        return _PUBLIC[function]
    bare = inspect.unwrap(function)
    names = bare.__code__.co_varnames[: bare.__code__.co_argcount]

    @functools.wraps(function)
    def explaining(*given: Any, **named: Any) -> Any:
        try:
            return function(*given, **named)
        except (TypeError, ValueError, AttributeError, LookupError, ArithmeticError, OSError) as error:
            if not isinstance(error, RunspreadError):
                _explain(bare, {**dict(zip(names, given, strict=False)), **named}, error)
            raise

    explaining.__module__, explaining.__qualname__ = module, name
    vars(explaining)["explained"] = True
    _PUBLIC[function] = explaining
    return explaining


def _explain(function: Callable[..., Any], given: Mapping[str, Any], error: Exception) -> None:
    """Raise an InputError for a name that no file can have, or the first argument of no kind that is expected of it."""
    if "embedded null" in str(error) or getattr(error, "errno", None) == errno.ENAMETOOLONG:
        named = next((value for value in given.values() if isinstance(value, (str, PathLike))), "")
        raise InputError(f"no file can be named {str(named)[:40]!r}...", "a shorter name without null bytes") from error
    if isinstance(error, OSError):  # says itself what it is about
        return
    expected = _expected(function)
    for name, value in given.items():
        kinds = expected.get(name)
        if kinds and not any(kind.holds(value) for kind in kinds):
            words = " or ".join(dict.fromkeys(kind.words for kind in kinds))
            raise InputError(f"{name} is {_shown(value)}", words) from error


def _shown(value: Any) -> str:
    """Return a value and its type, briefly."""
    text = repr(value)
    kind = "None" if value is None else f"of type {type(value).__name__}"
    return f"{text}, {kind}" if len(text) <= 40 and "\n" not in text and value is not None else kind


def _expected(function: Callable[..., Any]) -> dict[str, tuple[Kind, ...]]:
    """Return the kinds of every argument whose annotation names nothing but kinds, those of ``Unpack`` among them."""
    found: dict[str, tuple[Kind, ...]] = {}
    for name, text in function.__annotations__.items():
        scope: Mapping[str, Any] = getattr(function, "__globals__", {})
        if isinstance(text, str) and text.startswith("Unpack["):
            settings = scope.get(text.removeprefix("Unpack[").removesuffix("]"))
            for key, each in getattr(settings, "__annotations__", {}).items():
                inside = vars(sys.modules[settings.__module__])
                found[key] = _kinds(getattr(each, "__forward_arg__", each), inside)
        elif name != "return":
            found[name] = _kinds(text, scope)
    return {name: kinds for name, kinds in found.items() if kinds}


def _kinds(annotation: Any, scope: Mapping[str, Any]) -> tuple[Kind, ...]:
    """Return the kinds that an annotation names; none where one of them is unknown."""
    if not isinstance(annotation, str):
        return ()
    found: list[Kind] = []
    for part in _union(ast.parse(annotation, mode="eval").body):
        kinds = _of_node(part, scope)
        if not kinds:
            return ()
        found.extend(kinds)
    return tuple(found)


def _union(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp):
        return [*_union(node.left), *_union(node.right)]
    return [node]


def _of_node(node: ast.expr, scope: Mapping[str, Any]) -> tuple[Kind, ...]:
    """Return the kinds of one member of a union."""
    if isinstance(node, ast.Constant) and node.value is None:
        return (Kind(lambda value: value is None, "None"),)
    if not isinstance(node, ast.Subscript):
        return _of_name(node, scope)
    inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    outer = ast.unparse(node.value).rpartition(".")[2]
    if outer in ("Required", "NotRequired", "ReadOnly"):
        return _kinds(ast.unparse(node.slice), scope)
    if outer == "Literal":
        return _of_literal([one.value for one in inner if isinstance(one, ast.Constant)])
    if outer in ("Mapping", "dict", "MutableMapping"):
        return (Kind(lambda value: isinstance(value, Mapping), "a mapping"),)
    if outer == "Callable":
        return (Kind(callable, "a function"),)
    if outer == "PathLike":
        return (Kind(lambda value: isinstance(value, PathLike), "a path"),)
    if outer in ("Sequence", "Collection", "Iterable", "list", "tuple", "set", "frozenset"):
        kinds = [_kinds(ast.unparse(one), scope) for one in inner if ast.unparse(one) != "..."]
        return (_sequence(kinds, len(inner) if outer == "tuple" and len(kinds) == len(inner) else None),)
    return ()


def _of_literal(values: list[Any]) -> tuple[Kind, ...]:
    """Take any text where texts are listed: which ones there are, and what is near, is told by the function."""
    known = " or ".join(map(repr, values))
    return (Kind(lambda value: isinstance(value, str) if isinstance(values[0], str) else value in values, known),)


def _of_name(node: ast.expr, scope: Mapping[str, Any]) -> tuple[Kind, ...]:
    name = ast.unparse(node)
    if name in _PLAIN:
        return (_PLAIN[name],)
    first, *rest = name.split(".")
    found = functools.reduce(lambda owner, part: getattr(owner, part, None), rest, scope.get(first))
    if typing.get_origin(found) is typing.Literal:
        return _of_literal(list(typing.get_args(found)))
    if not isinstance(found, type) or found in (Any, object) or issubclass(found, tuple):
        return ()
    if typing.is_typeddict(found):
        return (Kind(lambda value: isinstance(value, Mapping), "a mapping"),)
    return () if vars(found).get("_is_protocol") else (Kind(lambda value: isinstance(value, found), found.__name__),)


def _sequence(inner: list[tuple[Kind, ...]], length: int | None) -> Kind:
    """Return the kind of a sequence whose items have kinds."""
    kinds = inner[0] if len(set(map(repr, inner))) == 1 else ()

    def holds(value: Any) -> bool:
        if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable) or getattr(value, "ndim", 1) < 1:
            return False
        items = list(itertools.islice(typing.cast("Iterable[Any]", value), _MOST))
        return length in (None, len(items)) and (not kinds or all(any(k.holds(one) for k in kinds) for one in items))

    many = {"a number": " of numbers", "a whole number": " of whole numbers", "text": " of texts"}
    what = "a sequence" if length is None else f"{length} values"
    return Kind(holds, f"{what}{many.get(kinds[0].words, '') if len(kinds) == 1 else ''}")


def _is_number(value: Any) -> bool:
    """Whether a value is one number: of Python, NumPy, or an array or tensor without axes."""
    if isinstance(value, (bool, Real)):
        return not isinstance(value, bool)
    return getattr(value, "ndim", None) == 0 and getattr(getattr(value, "dtype", None), "kind", "f") in "iuf"


def _is_whole(value: Any) -> bool:
    return _is_number(value) and math.isfinite(value) and int(value) == value


def _is_true_or_false(value: Any) -> bool:
    return type(value).__name__ in ("bool", "bool_") or (_is_number(value) and value in (0, 1))


_PLAIN = {
    "float": Kind(_is_number, "a number"),
    "int": Kind(_is_whole, "a whole number"),
    "bool": Kind(_is_true_or_false, "True or False"),
    "str": Kind(lambda value: isinstance(value, str), "text"),
    "Path": Kind(lambda value: isinstance(value, (str, PathLike)), "a path"),
    "AnyPath": Kind(lambda value: isinstance(value, (str, PathLike)), "a path"),
}
