"""A program that reads and prints, rewritten as one function of its input.

The grammar of what is understood is in `docs/verification.md`. Everything else is refused with a
reason; nothing here decides that the function is right: both forms are executed afterwards.
"""

from __future__ import annotations

import ast
import builtins
import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from codefit.curate.code import parse
from codefit.curate.convert.grammar import Read, Repeat, Spread, Value, Values
from codefit.curate.convert.printing import Collector, Form, Returner
from codefit.curate.convert.reading import Reader, Refused, line_sources, shape_of

_NAMES = ("solve", "answer", "compute")
_FORBIDDEN = ("exec", "globals", "locals", "vars", "compile", "__import__", "open", "threading")
_FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
_MAX_CHARS = 20_000


@dataclass(frozen=True, slots=True)
class Function:
    """A rewritten program. `per_case`: an input begins with a count of cases, and each is one call."""

    source: str
    name: str
    reads: tuple[Read, ...]
    parameters: tuple[str, ...]
    form: Form
    per_case: bool


def rewrite(source: str) -> Function:
    """Return the program as a function; raises `Refused`."""
    tree = parse(source) if len(source) <= _MAX_CHARS else None
    if tree is None:
        raise Refused("does not parse")
    names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    if names & set(_FORBIDDEN) or any(isinstance(n, ast.Global | ast.Nonlocal) for n in ast.walk(tree)):
        raise Refused("uses globals, files or code as data")
    refused = Refused("has no body")
    for per_case, collect in ((True, False), (False, False), (False, True)):
        try:
            return _rewrite(copy.deepcopy(tree), per_case, collect)
        except Refused as e:
            refused = e
        except RecursionError as e:
            raise Refused("is nested too deeply") from e
    raise refused


def _rewrite(tree: ast.Module, per_case: bool, collect: bool) -> Function:
    imports, body = _flat(tree)
    sources, body = line_sources(body)
    used = _all_names(tree)
    if per_case:
        body = _one_case(body, sources)
    reader = Reader(sources, used)
    helpers: list[ast.stmt] = [n for n in body if isinstance(n, (*_FUNCTION, ast.ClassDef))]
    rest = reader.take(body)
    if not reader.reads:
        raise Refused("reads nothing")
    form: Form = "lines"
    if collect:
        name = reader.free_name("answers")
        start = ast.Assign([ast.Name(name, ast.Store())], ast.List([], ast.Load()))
        collector = Collector(name)
        changed = [collector.visit(node) for node in rest]
        rest = [start, *changed, ast.Return(ast.Name(name, ast.Load()))]
    else:
        returner = Returner(in_loop=per_case)
        rest = returner.block(rest)
        if len(returner.forms) > 1:
            raise Refused("prints in several forms")
        form = next(iter(returner.forms))
    _clean(rest)
    return _assembled(imports, helpers, rest, reader, used, form, per_case)


def _flat(tree: ast.Module) -> tuple[list[ast.stmt], list[ast.stmt]]:
    """Return (imports, body) with `if __name__ == "__main__"` and the main function's body laid open."""
    body: list[ast.stmt] = []
    for node in tree.body:
        body += node.body if isinstance(node, ast.If) and _is_main(node.test) else [node]
    imports: list[ast.stmt] = [n for n in body if isinstance(n, ast.Import | ast.ImportFrom)]
    body = [n for n in body if not isinstance(n, ast.Import | ast.ImportFrom) and not _is_decoration(n)]
    if body and (called := _called(body[-1])):
        body = _opened(body, called)
    imports += [n for n in body if isinstance(n, ast.Import | ast.ImportFrom)]
    return imports, [n for n in body if n not in imports]


def _is_main(node: ast.expr) -> bool:
    return isinstance(node, ast.Compare) and isinstance(node.left, ast.Name) and node.left.id == "__name__"


def _is_decoration(node: ast.stmt) -> bool:
    """Return True for statements without effect on the answer: loose texts, `sys.setrecursionlimit(…)`."""
    match node:
        case ast.Expr(value=ast.Constant()):
            return True
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="sys"), attr="setrecursionlimit"))):
            return True
    return False


def _called(node: ast.stmt) -> str | None:
    """Return the name of the function that the last statement calls without arguments, or prints."""
    match node:
        case ast.Expr(value=ast.Call(func=ast.Name(id=name), args=[], keywords=[])):
            return name
        case ast.Expr(
            value=ast.Call(
                func=ast.Name(id="print"),
                args=[ast.Call(func=ast.Name(id=name), args=[], keywords=[])],
                keywords=[],
            )
        ):
            return name
    return None


def _opened(body: list[ast.stmt], name: str) -> list[ast.stmt]:
    """Return the body with the function that is called last, and only there, in place of its call."""
    uses = sum(isinstance(n, ast.Name) and n.id == name for stmt in body for n in ast.walk(stmt))
    found = [n for n in body if isinstance(n, ast.FunctionDef) and n.name == name and not n.decorator_list]
    if uses != 1 or len(found) != 1 or _arguments(found[0]):
        return body
    inner = found[0].body
    returns = [n for n in _own(inner) if isinstance(n, ast.Return) and n.value is not None]
    prints_result = _called(body[-1]) == name and _is_print_of(body[-1])
    if bool(returns) != prints_result:
        raise Refused("its main function prints and returns")
    return [n for n in body[:-1] if n is not found[0]] + [n for n in inner if not _is_decoration(n)]


def _is_print_of(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Name)
        and node.value.func.id == "print"
    )


def _arguments(node: ast.FunctionDef) -> list[ast.arg]:
    args = node.args
    more = [a for a in (args.vararg, args.kwarg) if a]
    return [*args.posonlyargs, *args.args, *args.kwonlyargs, *more]


def _own(body: Sequence[ast.AST]) -> Iterator[ast.AST]:
    """Yield the nodes of a block without those of functions and classes defined in it."""
    for node in body:
        if isinstance(node, (*_FUNCTION, ast.ClassDef, ast.Lambda)):
            continue
        yield node
        yield from _own(list(ast.iter_child_nodes(node)))


def _one_case(body: list[ast.stmt], sources: frozenset[str]) -> list[ast.stmt]:
    """Return what is done for one case of `for _ in range(int(input())): …`, with the definitions before it."""
    definitions = [n for n in body if isinstance(n, (*_FUNCTION, ast.ClassDef))]
    rest = [n for n in body if not isinstance(n, (*_FUNCTION, ast.ClassDef))]
    loop = rest[-1] if rest else None
    if not (isinstance(loop, ast.For) and isinstance(loop.target, ast.Name) and not loop.orelse):
        raise Refused("has no loop over cases")
    before = rest[:-1]
    match loop.iter:
        case ast.Call(func=ast.Name(id="range"), args=[count], keywords=[]):
            one = Value("int")
            if shape_of(count, sources) != one:
                first = before.pop() if before else None
                match first, count:
                    case ast.Assign(targets=[ast.Name(id=name)], value=value), ast.Name(id=used) if (
                        name == used
                    ):
                        if shape_of(value, sources) != one:
                            raise Refused("has no loop over cases")
                    case _:
                        raise Refused("has no loop over cases")
                if any(isinstance(n, ast.Name) and n.id == used for s in loop.body for n in ast.walk(s)):
                    raise Refused("a case depends on the number of cases")
        case _:
            raise Refused("has no loop over cases")
    inner = loop.body
    if any(isinstance(n, ast.Name) and n.id == loop.target.id for s in inner for n in ast.walk(s)):
        raise Refused("a case depends on its number")
    if any(isinstance(n, ast.Break) for n in _level(inner)):
        raise Refused("leaves the loop over cases")
    if len(inner) == 1 and (called := _called(inner[0])):
        inner = _opened([*definitions, *inner], called)
        definitions = []
    if not all(isinstance(n, ast.Assign) for n in before):
        raise Refused("does something before its cases")
    return [*definitions, *before, *inner]


def _level(body: Sequence[ast.AST]) -> Iterator[ast.AST]:
    """Yield the nodes of a block that belong to the loop around it, not to a loop inside it."""
    for node in body:
        yield node
        if not isinstance(node, (ast.For, ast.While, *_FUNCTION, ast.ClassDef)):
            yield from _level(list(ast.iter_child_nodes(node)))


def _clean(body: list[ast.stmt]) -> None:
    """Raise `Refused` if the function would still print, exit or leave a loop that is gone."""
    for node in (n for stmt in body for n in ast.walk(stmt)):
        if isinstance(node, ast.Name) and node.id in ("print", "exit", "quit"):
            raise Refused("prints or exits in a place that is not plain")
        if isinstance(node, ast.Attribute) and node.attr in ("stdout", "stdin", "exit", "_exit"):
            raise Refused("prints or exits in a place that is not plain")
        if isinstance(node, ast.Yield | ast.YieldFrom | ast.Await):
            raise Refused("is a generator")
    if any(isinstance(n, ast.Continue | ast.Break) for n in _level(body)):
        raise Refused("leaves a loop that is gone")


def _all_names(tree: ast.AST) -> set[str]:
    found = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    found |= {n.arg for n in ast.walk(tree) if isinstance(n, ast.arg)}
    return found | {n.name for n in ast.walk(tree) if isinstance(n, (*_FUNCTION, ast.ClassDef))}


def _assembled(
    imports: list[ast.stmt],
    helpers: list[ast.stmt],
    body: list[ast.stmt],
    reader: Reader,
    used: set[str],
    form: Form,
    per_case: bool,
) -> Function:
    """Put the function together: helpers that need nothing of its body stand before it."""
    name = next((n for n in _NAMES if n not in used), None)
    if name is None:
        raise Refused("uses every name for the function")
    inside = [n for n in body if n not in helpers]
    bound = {
        n.id for s in inside for n in ast.walk(s) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    }
    bound |= {parameter for read in reader.reads for parameter in read.names}
    free = _free_standing(helpers, bound)
    inner = [n for n in body if n not in free]
    loaded = {
        n.id for s in inner for n in ast.walk(s) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)
    }
    parameters = tuple(p for read in reader.reads for p in read.names if p in loaded)
    if not parameters or any(hasattr(builtins, p) and p in ("list", "str", "int", "map") for p in parameters):
        raise Refused("needs nothing of its input")
    arguments = ast.arguments([], [_argument(p, reader.reads) for p in parameters], None, [], [], None, [])
    function = ast.FunctionDef(name, arguments, inner, [], None, None)
    needed = {n.id for s in (*free, function) for n in ast.walk(s) if isinstance(n, ast.Name)}
    module = ast.Module([*_imported(imports, needed), *free, function], [])
    source = ast.unparse(ast.fix_missing_locations(module))
    return Function(source, name, tuple(reader.reads), parameters, form, per_case)


def _free_standing(helpers: list[ast.stmt], bound: set[str]) -> list[ast.stmt]:
    """Return the helpers that use no name of the function's body, directly or through another helper."""
    inside = set(bound)
    while True:
        free = [h for h in helpers if not inside & {n.id for n in ast.walk(h) if isinstance(n, ast.Name)}]
        names = {h.name for h in helpers if h not in free and isinstance(h, (*_FUNCTION, ast.ClassDef))}
        if names <= inside:
            return free
        inside |= names


def _imported(imports: list[ast.stmt], needed: set[str]) -> list[ast.stmt]:
    """Return the imports that bind a needed name."""
    kept: list[ast.stmt] = []
    for node in imports:
        assert isinstance(node, ast.Import | ast.ImportFrom)
        names = [a for a in node.names if a.name == "*" or (a.asname or a.name).partition(".")[0] in needed]
        if names:
            node.names = names
            kept.append(node)
    return kept


def _argument(name: str, reads: Sequence[Read]) -> ast.arg:
    return ast.arg(name, ast.parse(type_of(name, reads), mode="eval").body)


def type_of(name: str, reads: Sequence[Read]) -> str:
    """Return the type of a parameter as its annotation."""
    read = next(r for r in reads if name in r.names)
    match read.shape:
        case Value(cast=cast):
            return cast
        case Values(cast=cast):
            return f"list[{cast}]"
        case Spread(names=names, cast=cast, star=star):
            return f"list[{cast}]" if star is not None and names[star] == name else cast
        case Repeat(item=Value(cast=cast)):
            return f"list[{cast}]"
        case Repeat(item=Values(cast=cast) | Spread(cast=cast)):
            return f"list[list[{cast}]]"
    raise AssertionError(f"no type of {read.shape}")
