"""The options that a plug-in's signature declares, read from its source: nothing is imported, nothing runs.

A help text or a hint then costs no second, and a file that cannot be imported spoils neither. What is not written out
in the source (`MainModel = something`, a default that is computed) raises NotPlain, and the file must be imported.
"""

import ast
import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from settings.errors import ConfigError
from settings.schema import Option
from settings.signatures import GIVEN, PLAIN, Declared, declared, parameter_help, plain_type

BARE = ("nn.Module", "torch.nn.Module", "Module", "object")  # bases that declare nothing
TYPES = {kind.__name__: kind for kind in PLAIN} | {"None": type(None)}


class NotPlain(Exception):
    """The source does not say it in so many words."""


@dataclass(frozen=True)
class Found:
    """A definition and the file that it stands in."""

    node: ast.ClassDef | ast.FunctionDef
    file: Path

    def init(self) -> ast.FunctionDef | None:
        """The function whose signature counts: itself, or a class's own __init__; None where it inherits that."""
        if isinstance(self.node, ast.FunctionDef):
            return self.node
        return next((n for n in self.node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"), None)


def read(file: Path, name: str, owner: str, group: str) -> Declared:
    """What the class or function `name` of a file declares. Raises NotPlain where only importing the file could say."""
    entry = find(file, name)
    chain = [entry, *bases(entry)]
    holder = holder_of(entry)
    documented = [*(found.node for found in reversed(chain)), holder.init()]
    help_texts = {k: v for node in documented for k, v in parameter_help(ast.get_docstring(node)).items()}
    found = list(signature(holder, help_texts, owner, group))
    names, any_keyword = [a.arg for a in arguments(holder)], holder.init().args.kwarg is not None
    if any_keyword:
        passed_on = {o.name: o for o in forwarded(holder, owner, group)}
        found += [o for name, o in passed_on.items() if name not in names]
    least = inherited(chain, "min_utterances") or (1 if "nClasses" in names else 2)
    return Declared(found, any_keyword, least)


def folders(package: str) -> list[Path]:
    """The folders of models or loss: our own, and those of that name on PYTHONPATH."""
    return [Path(path) for path in importlib.import_module(package).__path__]


@lru_cache(maxsize=256)
def parsed(file: Path, stamp: int) -> ast.Module:  # noqa: ARG001 the stamp makes a changed file another one
    return ast.parse(file.read_text(encoding="utf-8"))


def tree(file: Path) -> ast.Module:
    """A file's syntax tree."""
    try:
        return parsed(file, file.stat().st_mtime_ns)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise NotPlain(f"{file}: {error}") from None


def find(file: Path, name: str) -> Found:
    """The class or function of that name at the top of a file, or of the file beside it that it comes from."""
    for node in reversed(tree(file).body):  # the last one counts
        if getattr(node, "name", "") == name and isinstance(node, ast.ClassDef | ast.FunctionDef):
            if node.decorator_list:
                break
            return Found(node, file)
        if isinstance(node, ast.Assign) and name in map(ast.unparse, node.targets):
            break
        for alias in node.names if isinstance(node, ast.ImportFrom) else ():
            if (alias.asname or alias.name) == name:
                return find(beside(file, node.module), alias.name)
    raise NotPlain(f"{file} does not define {name} in so many words")


def beside(file: Path, module: str | None) -> Path:
    """The file of a module of the same package, as `from loss._margin import X` or `from ._margin import X` name it."""
    *package, name = (module or "").split(".")
    if package in ([], [file.parent.name]):
        for folder in (file.parent, *folders(file.parent.name)):
            if (folder / f"{name}.py").is_file():
                return folder / f"{name}.py"
    raise NotPlain(f"{module} is no file of {file.parent.name}/")


def bases(found: Found) -> list[Found]:
    """The classes of this package that a class inherits from, nearest first."""
    chain = []
    for base in map(ast.unparse, getattr(found.node, "bases", [])):
        if base not in BARE:
            nearest = find(found.file, base)
            chain += [nearest, *bases(nearest)]
    return chain


def holder_of(found: Found) -> Found:
    """The definition whose signature counts: a function, a class with an __init__, or the nearest base that has one."""
    for candidate in [found] if found.init() else bases(found):
        if candidate.init():
            return candidate
    raise NotPlain(f"{found.node.name} has no __init__")


def attribute(found: Found, name: str) -> object:
    """A class's own attribute that is written as a literal, or as another class's; None where it has none."""
    for node in found.node.body:
        if isinstance(node, ast.Assign) and [*map(ast.unparse, node.targets)] == [name]:
            if isinstance(node.value, ast.Attribute):
                other = find(found.file, ast.unparse(node.value.value))
                return inherited([other, *bases(other)], node.value.attr)
            return literal(node.value, found.file)
    return None


def inherited(chain: list[Found], name: str) -> object:
    """An attribute of a class or the nearest of its bases; None where none has it."""
    return next((value for part in chain if (value := attribute(part, name)) is not None), None)


def arguments(found: Found) -> list[ast.arg]:
    """The parameters of a definition, `self` and its like included."""
    args = found.init().args
    return [*args.posonlyargs, *args.args, *args.kwonlyargs]


def signature(found: Found, help_texts: dict, owner: str, group: str, strict: bool = True) -> Iterator[Option]:
    """The options of a definition's own signature, in its order; unless `strict`, only those of a plain type."""
    args = found.init().args
    required = len(args.posonlyargs) + len(args.args) - len(args.defaults)
    defaults = [None] * required + args.defaults + args.kw_defaults
    for parameter, default in zip(arguments(found), defaults, strict=True):
        name, hint = parameter.arg, parameter.annotation
        if default is None or name in GIVEN:
            continue
        try:
            value = literal(default, found.file)
            kind, choices = plain_type(annotation(hint) if hint else type(value), name, group)
        except (NotPlain, ConfigError, ValueError, TypeError, SyntaxError) as error:
            if strict:
                raise NotPlain(str(error)) from None  # importing the file says it better
            continue
        yield declared(name, kind, value, help_texts, hint is not None, choices, owner, group)


def forwarded(found: Found, owner: str, group: str, deep: int = 5) -> Iterator[Option]:
    """The options of what a definition passes its **kwargs on to, as voxceleb_trainer's models do.

    `def MainModel(nOut, **kwargs): return ResNetSE(Block, [3, 4, 6, 3], nOut, **kwargs)` has those of ResNetSE.
    """
    rest = found.init().args.kwarg
    for call in ast.walk(found.init()):
        if not isinstance(call, ast.Call) or not rest or deep == 0:
            continue
        if not any(k.arg is None and ast.unparse(k.value) == rest.arg for k in call.keywords):
            continue
        try:
            to = called(found, call.func)
        except NotPlain:
            continue
        names = [a.arg for a in arguments(to)][isinstance(to.node, ast.ClassDef) :]
        bound = {*names[: len(call.args)], *(k.arg for k in call.keywords)}
        help_texts = parameter_help(ast.get_docstring(to.node)) | parameter_help(ast.get_docstring(to.init()))
        candidates = [*signature(to, help_texts, owner, group, strict=False), *forwarded(to, owner, group, deep - 1)]
        yield from (o for o in candidates if o.name not in bound)


def called(found: Found, function: ast.expr) -> Found:
    """What a call in a definition runs: a name of the file, a name of a module of the package, or super().__init__."""
    if ast.unparse(function) == "super().__init__":
        base = next((base for base in bases(found) if base.init()), None)
        if base is None:
            raise NotPlain("the base is elsewhere")
        return base
    if not isinstance(function, ast.Attribute):
        return holder_of(find(found.file, ast.unparse(function)))
    module = ast.unparse(function.value)
    for node in tree(found.file).body:
        for alias in node.names if isinstance(node, ast.Import | ast.ImportFrom) else ():
            if (alias.asname or alias.name) == module:
                return holder_of(find(beside(found.file, alias.name), function.attr))
    raise NotPlain(f"{module} is elsewhere")


def annotation(node: ast.expr) -> object:
    """bool, int, float, str, a Literal of constants, or one of these or None."""
    text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ast.unparse(node)
    match ast.parse(text, mode="eval").body:
        case ast.Constant(value=None):
            return type(None)
        case ast.Name(id=name) if name in TYPES:
            return TYPES[name]
        case ast.Subscript(value=ast.Name(id="Literal") | ast.Attribute(attr="Literal"), slice=inner):
            return Literal[ast.literal_eval(inner)]
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return annotation(left) | annotation(right)
    raise NotPlain(f"the annotation {text}")


def literal(node: ast.expr, file: Path) -> object:
    """The value of a literal, or of a name that its file, or one beside it, gives a literal at the top."""
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        pass
    if isinstance(node, ast.Name):
        for statement in tree(file).body:
            if isinstance(statement, ast.Assign) and [*map(ast.unparse, statement.targets)] == [node.id]:
                return literal(statement.value, file)
            if isinstance(statement, ast.ImportFrom):
                for alias in statement.names:
                    if (alias.asname or alias.name) == node.id:
                        return literal(ast.Name(alias.name), beside(file, statement.module))
    raise NotPlain(f"the value {ast.unparse(node)}")
