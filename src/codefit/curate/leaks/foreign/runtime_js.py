"""Methods of JavaScript's strings, arrays, maps, sets and name spaces; stands behind `runtime` in the sandbox."""
# ruff: noqa: F403, F405, E731
# mypy: ignore-errors

import json
import math
import re

from codefit.curate.leaks.foreign.runtime import *
from codefit.curate.leaks.foreign.runtime import _plain, _Set, _text


def _cut(value, start=None, end=None):
    return value[slice(None if start is None else int(start), None if end is None else int(end))]


def _between(text, start, end=None):
    size = len(text)
    a, b = (max(0, min(size, int(v))) for v in (start or 0, size if end is None else end))
    return text[min(a, b) : max(a, b)]


def _split(text, sign=None, most=None):
    if sign is None:
        return [text]
    if isinstance(sign, cfx_Pattern):
        found = [p or "" for p in sign.plain.split(text)]
        found = found[1:-1] if not sign.plain.pattern.strip("(?:)") else found
    else:
        found = list(text) if sign == "" else text.split(sign)
    return found if most is None else found[:most]


def _new_text(new, match):
    if callable(new):
        return _text(cfx_invoke(new, match[0], *match.groups(), match.start(), match.string))
    dollar = lambda m: match[0] if m[1] == "&" else (match[int(m[1])] or "") if m[1].isdigit() else "$"
    return re.sub(r"\$(\d|&|\$)", dollar, _text(new))


def _replace(text, old, new, every=False):
    if not isinstance(old, cfx_Pattern):
        old, every_one = cfx_Pattern(re.escape(_text(old))), every
    else:
        every_one = old.all
    return old.plain.sub(lambda m: _new_text(new, m), text, count=0 if every_one else 1)


def _match(text, pattern):
    pattern = pattern if isinstance(pattern, cfx_Pattern) else cfx_Pattern(pattern)
    if pattern.all:
        return [m[0] for m in pattern.plain.finditer(text)] or None
    found = pattern.plain.search(text)
    return [found[0], *found.groups()] if found else None


def _pad(text, size, fill, before):
    missing = max(0, size - len(text))
    more = (fill * (missing // max(1, len(fill)) + 1))[:missing]
    return more + text if before else text + more


_STRING = {
    "charAt": lambda s, i=0: s[i] if 0 <= i < len(s) else "",
    "charCodeAt": lambda s, i=0: ord(s[i]) if 0 <= i < len(s) else cfx_nan,
    "codePointAt": lambda s, i=0: ord(s[i]),
    "indexOf": lambda s, x, start=0: s.find(_text(x), start),
    "lastIndexOf": lambda s, x: s.rfind(_text(x)),
    "includes": lambda s, x, start=0: _text(x) in s[start:],
    "startsWith": lambda s, x, at=0: s.startswith(_text(x), at),
    "endsWith": lambda s, x, end=None: s[:end].endswith(_text(x)),
    "slice": _cut,
    "substring": _between,
    "substr": lambda s, start, count=None: s[start:] if count is None else s[start:][:count],
    "split": _split,
    "toUpperCase": lambda s: s.upper(),
    "toLowerCase": lambda s: s.lower(),
    "toLocaleUpperCase": lambda s: s.upper(),
    "toLocaleLowerCase": lambda s: s.lower(),
    "trim": lambda s: s.strip(),
    "trimStart": lambda s: s.lstrip(),
    "trimEnd": lambda s: s.rstrip(),
    "repeat": lambda s, n: s * int(n),
    "padStart": lambda s, n, fill=" ": _pad(s, n, _text(fill), True),
    "padEnd": lambda s, n, fill=" ": _pad(s, n, _text(fill), False),
    "replace": _replace,
    "replaceAll": lambda s, a, b: _replace(s, a, b, True),
    "match": _match,
    "matchAll": lambda s, p: [[m[0], *m.groups()] for m in p.plain.finditer(s)],
    "search": lambda s, p: m.start() if (m := p.plain.search(s)) else -1,
    "concat": lambda s, *more: s + "".join(map(_text, more)),
    "at": lambda s, i: s[i] if -len(s) <= i < len(s) else None,
    "localeCompare": lambda s, x: (s.lower() > x.lower()) - (s.lower() < x.lower()) or (s < x) - (s > x),
    "toString": lambda s: s,
    "valueOf": lambda s: s,
    "normalize": lambda s, form="NFC": s,
}


def _find(items, wanted, start=0):
    return next((i for i in range(start, len(items)) if cfx_same(items[i], wanted)), -1)


def _splice(items, start, count=None, *new):
    start = max(0, len(items) + start) if start < 0 else min(start, len(items))
    end = len(items) if count is None else start + max(0, count)
    gone = items[start:end]
    items[start:end] = new
    return gone


def _sort(items, function=None):
    items.sort(key=cfx_order(function))
    return items


def _reduce(items, function, *start):
    items = [(i, v) for i, v in enumerate(items)]
    if not start and not items:
        raise cfx_Thrown("nothing to reduce")
    value = start[0] if start else items.pop(0)[1]
    for i, item in items:
        value = cfx_invoke(function, value, item, i)
    return value


def _flat(items, depth=1):
    found = []
    for item in items:
        found += _flat(item, depth - 1) if isinstance(item, list) and depth > 0 else [item]
    return found


def _fill(items, value, start=0, end=None):
    for i in range(len(items))[start:end]:
        items[i] = value
    return items


def _asked(items, function):
    return [(i, v, cfx_true(cfx_invoke(function, v, i, items))) for i, v in enumerate(list(items))]


def _push(items, *new):
    items.extend(new)
    return len(items)


def _unshift(items, *new):
    items[:0] = new
    return len(items)


def _reversed(items):
    items.reverse()
    return items


_ARRAY = {
    "push": _push,
    "pop": lambda a: a.pop() if a else None,
    "shift": lambda a: a.pop(0) if a else None,
    "unshift": _unshift,
    "slice": _cut,
    "splice": _splice,
    "concat": lambda a, *more: a + [v for m in more for v in (m if isinstance(m, list) else [m])],
    "join": lambda a, sign=",": _text(sign).join("" if v is None else _text(v) for v in a),
    "reverse": _reversed,
    "toReversed": lambda a: a[::-1],
    "sort": _sort,
    "toSorted": lambda a, f=None: _sort(list(a), f),
    "indexOf": _find,
    "lastIndexOf": lambda a, x: max((i for i, v in enumerate(a) if cfx_same(v, x)), default=-1),
    "includes": lambda a, x, start=0: _find(a, x, start) >= 0,
    "find": lambda a, f: next((v for _, v, ok in _asked(a, f) if ok), None),
    "findIndex": lambda a, f: next((i for i, _, ok in _asked(a, f) if ok), -1),
    "findLast": lambda a, f: next((v for _, v, ok in _asked(a, f)[::-1] if ok), None),
    "filter": lambda a, f: [v for _, v, ok in _asked(a, f) if ok],
    "every": lambda a, f: all(ok for _, _, ok in _asked(a, f)),
    "some": lambda a, f: any(ok for _, _, ok in _asked(a, f)),
    "map": lambda a, f: [cfx_invoke(f, v, i, a) for i, v in enumerate(list(a))],
    "forEach": lambda a, f: [cfx_invoke(f, v, i, a) for i, v in enumerate(list(a))] and None,
    "reduce": _reduce,
    "reduceRight": lambda a, f, *start: _reduce(a[::-1], f, *start),
    "flat": _flat,
    "flatMap": lambda a, f: _flat([cfx_invoke(f, v, i, a) for i, v in enumerate(a)]),
    "fill": _fill,
    "keys": lambda a: list(range(len(a))),
    "values": lambda a: list(a),
    "entries": lambda a: [[i, v] for i, v in enumerate(a)],
    "at": lambda a, i: a[i] if -len(a) <= i < len(a) else None,
    "toString": _text,
}


def _put(table, key, value=True):
    table[key] = value
    return table


_TABLE = {
    "get": lambda t, k: t.get(k),
    "set": _put,
    "add": lambda t, k: _put(t, k, k),
    "has": lambda t, k: k in t,
    "delete": lambda t, k: t.pop(k, cfx_inf) is not cfx_inf,
    "clear": lambda t: t.clear(),
    "keys": lambda t: list(t.keys()),
    "values": lambda t: list(t.keys() if isinstance(t, _Set) else t.values()),
    "entries": lambda t: [[k, v] for k, v in t.items()],
    "forEach": lambda t, f: [cfx_invoke(f, v, k, t) for k, v in list(t.items())] and None,
    "hasOwnProperty": lambda t, k: cfx_key(k) in t,
}
_PATTERN = {
    "test": lambda p, s: p.plain.search(_text(s)) is not None,
    "exec": lambda p, s: [m[0], *m.groups()] if (m := p.plain.search(_text(s))) else None,
}


_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def _based(number, base=10):
    if base == 10 or not isinstance(number, int):
        return _text(number)
    digits, rest = "", abs(number)
    while rest:
        digits = _DIGITS[rest % base] + digits
        rest //= base
    return ("-" if number < 0 else "") + (digits or "0")


_NUMBER = {
    "toString": _based,
    "toFixed": lambda n, digits=0: f"{math.copysign(_round(abs(n) * 10**digits) / 10**digits, n):.{digits}f}",
    "toPrecision": lambda n, digits: f"{n:.{digits}g}",
    "valueOf": lambda n: n,
    "toLocaleString": lambda n: f"{n:,}",
}


def cfx_call(value, name, *given):
    """Call a method of a value."""
    if isinstance(value, dict) and name in value and callable(value[name]):
        return cfx_invoke(value[name], *given)
    if isinstance(value, dict) and name not in _TABLE:
        raise cfx_Thrown(name)
    for kind, methods in _METHODS:
        if isinstance(value, kind) and name in methods:
            return methods[name](value, *given)
    if callable(value) and name in ("call", "apply"):
        return cfx_invoke(value, *(given[1:] if name == "call" else given[1]))
    raise cfx_Thrown(name)


def cfx_optional_call(value, name, *given):
    return None if value is None else cfx_call(value, name, *given)


_METHODS = [
    (str, _STRING), (list, _ARRAY), (dict, _TABLE), (cfx_Pattern, _PATTERN), ((int, float), _NUMBER),
    (bool, {"toString": _text}),
]  # fmt: skip


def _parse_int(text, base=10):
    found = re.match(r"\s*([+-]?)(0[xX])?([0-9a-zA-Z]*)", _text(text))
    base = 16 if found[2] else int(base or 10)
    digits = found[3].lower()
    known = next((i for i, c in enumerate(digits) if c not in _DIGITS[:base]), len(digits))
    return int(found[1] + digits[:known], base) if known else cfx_nan


def _parse_float(text):
    found = re.match(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", _text(text))
    return cfx_number(found[0].strip()) if found else cfx_nan


def _round(n):
    return math.floor(n + 0.5) if math.isfinite(n) else n


def _most(choose, start):
    return lambda *n: choose([cfx_number(v) for v in n], default=start)


def _array_from(value, function=None):
    if isinstance(value, dict) and set(value) == {"length"}:
        value = [None] * value["length"]
    items = cfx_items(value)
    return [cfx_invoke(function, v, i) for i, v in enumerate(items)] if function else items


def _assigned(target, *more):
    for fields in more:
        target.update(fields or {})
    return target


def _whole(n):
    return isinstance(n, (int, float)) and not isinstance(n, bool) and n == n // 1


_MATH = {
    name: getattr(math, name)
    for name in ("sin", "cos", "tan", "atan", "atan2", "exp", "hypot", "asin", "acos")
}
_FINITE = lambda way: lambda n: way(cfx_number(n)) if math.isfinite(cfx_number(n)) else cfx_number(n)
_MATH |= {
    "floor": _FINITE(math.floor), "ceil": _FINITE(math.ceil), "trunc": _FINITE(math.trunc), "round": _round,
    "abs": lambda n: abs(cfx_number(n)), "sqrt": lambda n: math.sqrt(n) if n >= 0 else cfx_nan,
    "cbrt": lambda n: math.copysign(abs(n) ** (1 / 3), n), "pow": lambda a, b: a**b,
    "sign": lambda n: (n > 0) - (n < 0), "max": _most(max, -cfx_inf), "min": _most(min, cfx_inf),
    "log": lambda n: math.log(n) if n > 0 else -cfx_inf if n == 0 else cfx_nan,
    "log2": math.log2, "log10": math.log10,
}  # fmt: skip
_STATIC = {f"Math.{name}": way for name, way in _MATH.items()}
_STATIC |= {
    "Number.isInteger": _whole,
    "Number.isSafeInteger": _whole,
    "Number.isNaN": lambda n: n != n,
    "Number.isFinite": lambda n: isinstance(n, (int, float)) and math.isfinite(n),
    "Number.parseInt": _parse_int,
    "Number.parseFloat": _parse_float,
    "Object.keys": cfx_keys,
    "Object.values": lambda o: list(o.values()) if isinstance(o, dict) else list(o),
    "Object.entries": lambda o: [[k, v] for k, v in (o.items() if isinstance(o, dict) else enumerate(o))],
    "Object.fromEntries": lambda pairs: {cfx_key(k): v for k, v in cfx_items(pairs)},
    "Object.assign": _assigned,
    "Object.freeze": lambda o: o,
    "Array.isArray": lambda a: isinstance(a, list),
    "Array.from": _array_from,
    "Array.of": lambda *a: list(a),
    "String.fromCharCode": lambda *n: "".join(map(chr, n)),
    "String.fromCodePoint": lambda *n: "".join(map(chr, n)),
    "JSON.stringify": lambda v, *more: json.dumps(_plain(v), separators=(",", ":")),
    "JSON.parse": lambda text: json.loads(text),
}
cfx_bare = {
    "parseInt": _parse_int,
    "parseFloat": _parse_float,
    "isNaN": lambda v: cfx_number(v) != cfx_number(v),
    "isFinite": lambda v: math.isfinite(cfx_number(v)),
    "Number": lambda v=0: cfx_number(v),
    "BigInt": lambda v: int(v),
    "String": lambda v="": _text(v),
    "Boolean": cfx_true,
    "Array": lambda *n: [None] * n[0] if len(n) == 1 and isinstance(n[0], int) else list(n),
}
cfx_constant = {
    "Math.PI": math.pi, "Math.E": math.e, "Math.SQRT2": math.sqrt(2), "Number.MAX_SAFE_INTEGER": 2**53 - 1,
    "Number.MIN_SAFE_INTEGER": -(2**53) + 1, "Number.POSITIVE_INFINITY": cfx_inf, "Number.NaN": cfx_nan,
    "Number.NEGATIVE_INFINITY": -cfx_inf, "Number.MAX_VALUE": 1.7976931348623157e308, "Number.EPSILON": 2**-52,
    "Integer.MAX_VALUE": 2**31 - 1, "Integer.MIN_VALUE": -(2**31), "Long.MAX_VALUE": 2**63 - 1,
    "Long.MIN_VALUE": -(2**63), "Double.MAX_VALUE": 1.7976931348623157e308, "Double.MIN_VALUE": 5e-324,
}  # fmt: skip


def cfx_static(name, *given):
    """Call a function of a name space."""
    return _STATIC[name](*given)


def cfx_new(name, *given):
    """Make an object."""
    if name in ("Set", "HashSet", "LinkedHashSet", "TreeSet"):
        return _Set((v, v) for v in cfx_items(given[0] if given and not isinstance(given[0], int) else []))
    if name in ("Map", "HashMap", "LinkedHashMap", "TreeMap", "Object"):
        pairs = cfx_items(given[0]) if given and not isinstance(given[0], int) else []
        return dict(pairs)
    if name == "Array":
        return cfx_bare["Array"](*given)
    if name in ("ArrayList", "LinkedList", "Stack", "Vector", "ArrayDeque"):
        return cfx_items(given[0]) if given and not isinstance(given[0], int) else []
    if name in ("StringBuilder", "StringBuffer"):
        return cfx_Builder(*given)
    if name == "RegExp":
        return given[0] if isinstance(given[0], cfx_Pattern) else cfx_Pattern(*given)
    if name == "String":
        return "".join(given[0]) if given else ""
    if name.endswith(("Error", "Exception")):
        return cfx_Thrown(*given)
    raise cfx_Thrown(name)
