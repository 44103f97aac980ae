"""Scripts without a function that could be called, turned into one.

A script that sets its inputs (`a = [3, 1, 2]`) and prints is the answer to the same task as a function of
those inputs: the statements that set them become parameters. So is a script that goes over a few samples and prints
for each: the loop's variables become parameters. A script that sets nothing gets the
names that it does not set, or its largest literal, as parameters; one that prints nothing gives its last value.
Nothing is run here.
"""

from __future__ import annotations

import ast
import builtins
import copy
from dataclasses import dataclass
from functools import lru_cache

from codefit.curate.code import parse
from codefit.curate.imports import with_imports
from codefit.curate.leaks.settings import MOST_PARAMETERS, choices, is_input, is_literal, set_values

NAME = "lifted_program"
LITERAL = "lifted_literal"
_FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
_KEPT_OUTSIDE = (ast.Import, ast.ImportFrom, ast.ClassDef, *_FUNCTION)
_READERS = frozenset({"input", "raw_input", "readline", "cfx_input"})
_ADDERS = frozenset({"append", "add", "extend", "insert", "update"})
_BUILTINS = frozenset({*dir(builtins), "__name__"})
_MAKERS = frozenset({"list", "tuple", "set", "iter", "sorted"})


@dataclass(frozen=True, slots=True)
class Lifted:
    """A source with the function `name` of `width` parameters; `nodes` is the size of its statements' syntax.

    `guessed`: no statement sets the parameters; they are names without a value, or a literal.
    """

    source: str
    name: str
    width: int
    nodes: int
    guessed: bool = False


@lru_cache(maxsize=16_384)
def lifted(source: str) -> tuple[Lifted, ...]:
    """Return the script as a function, once for each way of making it one."""
    tree = parse(with_imports(source))
    if tree is None:
        return ()
    outside, body = _opened(tree)
    body = _speaking(body)
    if any(map(reads_input, body)) or not _speaks(body):
        return ()
    found = []
    chosen = set_values(body)
    guessed = not chosen
    ways = [(NAME, *_with_parameters(outside, body))] if guessed else []
    for n, (names, rest) in enumerate(choices(body, chosen)):
        ways.append((f"{NAME}_{n}" if n else NAME, names, rest))
    for name, names, rest in (*ways, (f"{NAME}_of_one", *_looped(body))):
        fits = rest and 1 <= len(names) <= MOST_PARAMETERS
        text = _function(outside, name, names, rest) if fits else None
        if text is not None:
            size = sum(1 for n in rest for _ in ast.walk(n))
            found.append(Lifted(text, name, len(names), size, guessed and name == NAME))
    return tuple(found)


def _function(outside: list[ast.stmt], name: str, names: list[str], rest: list[ast.stmt]) -> str | None:
    arguments = ast.arguments([], [ast.arg(n) for n in names], None, [], [], None, [])
    # Functions that read what are parameters now must see them.
    functions: list[ast.stmt] = [n for n in outside if isinstance(n, _FUNCTION)]
    inside = functions if any(_reads(n, names) for n in functions) else []
    outside = [n for n in outside if n not in inside]
    function = ast.FunctionDef(name, arguments, [*inside, *rest, ast.Pass()], [])
    module = ast.Module([*outside, function], [])
    try:
        return ast.unparse(ast.fix_missing_locations(module))
    except (ValueError, RecursionError):
        return None


def _reads(function: ast.AST, names: list[str]) -> bool:
    """Return True if a function reads one of some names that is not its own."""
    nodes = list(ast.walk(function))
    own = {n.arg for n in nodes if isinstance(n, ast.arg)}
    own |= {n.id for n in nodes if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}
    wanted = frozenset(names) - own
    return any(isinstance(n, ast.Name) and n.id in wanted for n in nodes)


def _opened(tree: ast.Module) -> tuple[list[ast.stmt], list[ast.stmt]]:
    """Return (definitions, statements); the body of a `main` without arguments stands for its call."""
    outside: list[ast.stmt] = [n for n in tree.body if isinstance(n, _KEPT_OUTSIDE)]
    body = [n for n in tree.body if not isinstance(n, _KEPT_OUTSIDE)]
    body = [inner for n in body for inner in _guarded(n)]
    mains = {n.name: n for n in outside if isinstance(n, ast.FunctionDef) and not _takes_arguments(n)}
    called = [mains.get(name) for n in body if (name := _lone_call(n))]
    main = called[0] if len(called) == 1 else None
    if main is None:
        return outside, body
    own = [inner for n in body for inner in (main.body if _lone_call(n) == main.name else [n])]
    return [n for n in outside if n is not main], own


def _guarded(node: ast.stmt) -> list[ast.stmt]:
    """Return what stands below `if __name__ == "__main__"`, else the statement itself."""
    return node.body if isinstance(node, ast.If) and "__name__" in ast.dump(node.test) else [node]


def _takes_arguments(node: ast.FunctionDef) -> bool:
    return bool(node.args.args or node.args.vararg or node.args.kwonlyargs or node.args.kwarg)


def _lone_call(node: ast.stmt) -> str | None:
    """Return the name of a function that a statement calls without arguments and does nothing else."""
    call = node.value if isinstance(node, ast.Expr) else None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        return None
    return None if call.args or call.keywords else call.func.id


def _speaking(body: list[ast.stmt]) -> list[ast.stmt]:
    """Return statements that say nothing with the value of the last one returned."""
    last = body[-1] if body and not _speaks(body) else None
    if isinstance(last, ast.Expr):
        return [*body[:-1], ast.Return(last.value)]
    if isinstance(last, ast.Assign) and isinstance(last.targets[0], ast.Name) and not is_literal(last.value):
        return [*body, ast.Return(ast.Name(last.targets[0].id, ast.Load()))]
    if isinstance(last, ast.For) and (name := _collector(last)):
        return [*body, ast.Return(ast.Name(name, ast.Load()))]
    return body


def _collector(loop: ast.For) -> str | None:
    """Return the name that a loop adds to in its last statement that changes something."""
    found = None
    for n in ast.walk(loop):
        if isinstance(n, ast.AugAssign) and isinstance(n.target, ast.Name):
            found = n.target.id
        elif isinstance(n, ast.Expr) and isinstance(n.value, ast.Call):
            match n.value.func:
                case ast.Attribute(value=ast.Name(id=name), attr=adds) if adds in _ADDERS:
                    found = name
    return found


def _with_parameters(outside: list[ast.stmt], body: list[ast.stmt]) -> tuple[list[str], list[ast.stmt]]:
    """Return (names that nothing sets, the statements), else the largest literal in them as the one parameter."""
    own = [n for statement in body for n in ast.walk(statement)]
    if not any(isinstance(n, ast.Call | ast.comprehension) for n in own):
        return [], []  # words that happen to be a program
    nodes = [*own, *(n for statement in outside for n in ast.walk(statement))]
    names = [n for n in nodes if isinstance(n, ast.Name)]
    known = {n.id for n in names if not isinstance(n.ctx, ast.Load)} | _BUILTINS
    known |= {n.arg for n in nodes if isinstance(n, ast.arg)}
    known |= {n.name for n in nodes if isinstance(n, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)}
    known |= {(n.asname or n.name).partition(".")[0] for n in nodes if isinstance(n, ast.alias)}
    used = [n.id for n in own if isinstance(n, ast.Name)]
    free = [name for name in dict.fromkeys(used) if name not in known]
    return (free, body) if free else _with_literal(body)


def _with_literal(body: list[ast.stmt]) -> tuple[list[str], list[ast.stmt]]:
    literals = [n for statement in body for n in ast.walk(statement) if _is_samples(n)]
    if not literals:
        return [], []
    chosen = ast.dump(max(literals, key=lambda n: len(ast.dump(n))))

    class Replaced(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> ast.AST:
            same = isinstance(node, ast.expr) and ast.dump(node) == chosen
            return ast.Name(LITERAL, ast.Load()) if same else self.generic_visit(node)

    # The tree is shared by all who parse this source: a copy is changed.
    changed = ast.Module(copy.deepcopy(body), [])
    Replaced().visit(changed)  # in place
    return [LITERAL], changed.body


def _looped(body: list[ast.stmt]) -> tuple[list[str], list[ast.stmt]]:
    """Return (variables of the first loop over literal samples, the statements with that loop over one sample)."""
    samples = {
        n.targets[0].id: n
        for n in body
        if isinstance(n, ast.Assign) and isinstance(n.targets[0], ast.Name) and _is_samples(n.value)
    }
    for place, node in enumerate(body):
        if not isinstance(node, ast.For):
            continue
        source = node.iter.id if isinstance(node.iter, ast.Name) else None
        if not (source in samples or _is_samples(node.iter)) or not _speaks(node.body):
            continue
        names = _names(node.target)
        set_by = samples.get(source or "")
        sample: list[ast.expr] = _loads(names) if len(names) == 1 else [ast.Tuple(_loads(names), ast.Load())]
        loop = ast.For(node.target, ast.List(sample, ast.Load()), node.body, node.orelse)
        rest = [n for n in body[:place] if n is not set_by]
        return names, [*rest, loop, *body[place + 1 :]]
    return [], []


def _names(target: ast.expr) -> list[str]:
    parts = target.elts if isinstance(target, ast.Tuple | ast.List) else [target]
    plain = all(isinstance(part, ast.Name) for part in parts)
    return [part.id for part in parts if isinstance(part, ast.Name)] if plain else []


def _loads(names: list[str]) -> list[ast.expr]:
    return [ast.Name(name, ast.Load()) for name in names]


def _is_samples(node: ast.AST) -> bool:
    """Return True for a literal collection of values."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _MAKERS:
        return len(node.args) == 1 and _is_samples(node.args[0])
    return isinstance(node, ast.List | ast.Tuple | ast.Set) and bool(node.elts) and is_input(node)


def reads_input(node: ast.AST) -> bool:
    """Return True if a program reads standard input, as far as its syntax shows."""
    for n in ast.walk(node):
        if isinstance(n, ast.Call):
            name = n.func.id if isinstance(n.func, ast.Name) else getattr(n.func, "attr", "")
            if name in _READERS:
                return True
        if isinstance(n, ast.Attribute) and n.attr == "stdin":
            return True
    return False


def _speaks(body: list[ast.stmt]) -> bool:
    return any(
        isinstance(n, ast.Return) or (isinstance(n, ast.Name) and n.id == "print")
        for statement in body
        for n in ast.walk(statement)
    )
