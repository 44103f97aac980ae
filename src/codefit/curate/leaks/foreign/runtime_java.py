"""Methods of Java's classes; stands behind `runtime_js` in the sandbox, whose methods it falls back to."""
# ruff: noqa: F403, F405, N801
# mypy: ignore-errors

import functools
import math
import re
import sys

from codefit.curate.leaks.foreign.runtime import *
from codefit.curate.leaks.foreign.runtime import _Set
from codefit.curate.leaks.foreign.runtime_js import _ARRAY, _STATIC, _based, cfx_call


def _regex_split(text, sign, most=0):
    found = [c for c in text] if sign == "" else re.split(sign, text, maxsplit=max(0, most - 1))
    while found and found[-1] == "" and not most:
        found.pop()
    return found[1:] if found and found[0] == "" and re.match(sign or "x", text) is None else found


def _formatted(form, *given):
    form = form.replace("%n", "\n").replace("%b", "%s")
    return re.sub(r"%(,?)([-0]?\d*)d", r"%\2d", form) % tuple(
        cfx_shown(v) if isinstance(v, bool) else v for v in given
    )


def _compared(a, b):
    a, b = str(a), str(b)
    place = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), None)
    return len(a) - len(b) if place is None else ord(a[place]) - ord(b[place])


_TEXT = {
    "length": len,
    "charAt": lambda s, i: cfx_Char(cfx_at(s, i)),
    "isEmpty": lambda s: not s,
    "isBlank": lambda s: not s.strip(),
    "equals": lambda s, x: isinstance(x, str) and str(s) == str(x),
    "equalsIgnoreCase": lambda s, x: s.lower() == x.lower(),
    "contains": lambda s, x: cfx_shown(x) in s,
    "toCharArray": lambda s: [cfx_Char(c) for c in s],
    "chars": lambda s: [ord(c) for c in s],
    "split": _regex_split,
    "replace": lambda s, a, b: str(s).replace(str(a), str(b)),
    "replaceAll": lambda s, a, b: re.sub(a, re.sub(r"\$(\d)", r"\\\1", str(b)), s),
    "replaceFirst": lambda s, a, b: re.sub(a, re.sub(r"\$(\d)", r"\\\1", str(b)), s, count=1),
    "matches": lambda s, p: re.fullmatch(p, s) is not None,
    "compareTo": _compared,
    "compareToIgnoreCase": lambda s, x: _compared(s.lower(), x.lower()),
    "indexOf": lambda s, x, start=0: str(s).find(cfx_Char(x) if isinstance(x, int) else x, start),
    "strip": lambda s: s.strip(),
    "hashCode": lambda s: functools.reduce(lambda h, c: (h * 31 + ord(c) + 2**31) % 2**32 - 2**31, s, 0),
    "format": _formatted,
    "charValue": lambda s: s,
}


def _removed(items, what):
    if isinstance(what, int) and not isinstance(what, bool):
        return items.pop(what)
    if what in items:
        items.remove(what)
        return True
    return False


def _inserted(items, *given):
    if len(given) == 2:
        items.insert(*given)
    else:
        items.append(given[0])
    return True


def _added(items, more):
    items.extend(cfx_items(more))
    return bool(more)


def _last(items):
    if not items:
        raise cfx_Thrown("empty")
    return items[-1]


def _replaced(items, place, value):
    before = cfx_at(items, place)
    items[place] = value
    return before


def _sorted_here(items, order=None):
    items.sort(key=cfx_order(order) if order else None)


_LIST = {
    "add": _inserted,
    "addLast": _inserted,
    "offer": _inserted,
    "addFirst": lambda a, v: a.insert(0, v),
    "addAll": _added,
    "get": cfx_at,
    "set": _replaced,
    "size": len,
    "isEmpty": lambda a: not a,
    "empty": lambda a: not a,
    "contains": lambda a, v: v in a,
    "remove": lambda a, what=0: _removed(a, what),
    "clear": lambda a: a.clear(),
    "poll": lambda a: a.pop(0) if a else None,
    "pollLast": lambda a: a.pop() if a else None,
    "removeFirst": lambda a: a.pop(0),
    "removeLast": lambda a: a.pop(),
    "getFirst": lambda a: cfx_at(a, 0),
    "getLast": _last,
    "push": lambda a, v: a.append(v),
    "pop": lambda a: a.pop(),
    "peek": _last,
    "indexOf": lambda a, v: a.index(v) if v in a else -1,
    "sort": _sorted_here,
    "equals": cfx_equal,
    "stream": lambda a: list(a),
    "boxed": lambda a: list(a),
    "toArray": lambda a, *kind: list(a),
    "toList": lambda a: list(a),
    "collect": lambda a, way: way(a),
    "mapToInt": lambda a, f: [cfx_invoke(f, v) for v in a],
    "mapToObj": lambda a, f: [cfx_invoke(f, v) for v in a],
    "distinct": lambda a: list(dict.fromkeys(a)),
    "sorted": lambda a, order=None: sorted(a, key=cfx_order(order) if order else None),
    "limit": lambda a, n: a[:n],
    "skip": lambda a, n: a[n:],
    "count": len,
    "sum": sum,
    "max": lambda a, *order: max(a),
    "min": lambda a, *order: min(a),
    "average": lambda a: sum(a) / len(a),
    "getAsInt": lambda a: a,
    "clone": lambda a: list(a),
    "subList": lambda a, start, end: a[start:end],
    "anyMatch": _ARRAY["some"],
    "allMatch": _ARRAY["every"],
    "noneMatch": lambda a, f: not _ARRAY["some"](a, f),
}


def _merged(table, key, value, way):
    table[key] = cfx_invoke(way, table[key], value) if key in table else value
    return table[key]


def _put(table, key, value):
    before = table.get(key)
    table[key] = value
    return before


def _computed(table, key, way):
    if key not in table:
        table[key] = cfx_invoke(way, key)
    return table[key]


class _Entry:
    def __init__(self, table, key):
        self.table, self.key = table, key


_MAP = {
    "put": _put,
    "get": lambda t, k: t.get(k),
    "getOrDefault": lambda t, k, v: t.get(k, v),
    "containsKey": lambda t, k: k in t,
    "containsValue": lambda t, v: v in t.values(),
    "putIfAbsent": lambda t, k, v: t.setdefault(k, v),
    "computeIfAbsent": _computed,
    "merge": _merged,
    "remove": lambda t, k: t.pop(k, None),
    "keySet": lambda t: list(t.keys()),
    "values": lambda t: list(t.values()),
    "entrySet": lambda t: [_Entry(t, k) for k in t],
    "size": len,
    "isEmpty": lambda t: not len(t),
    "equals": cfx_equal,
}


def _joined_set(items, value):
    new = value not in items
    items[value] = value
    return new


_SET = {
    "add": _joined_set,
    "contains": lambda t, v: v in t,
    "remove": lambda t, v: t.pop(v, None) is not None,
    "size": len,
    "isEmpty": lambda t: not len(t),
    "addAll": lambda t, more: t.update({v: v for v in cfx_items(more)}),
    "stream": lambda t: list(t),
    "retainAll": lambda t, more: [t.pop(v) for v in list(t) if v not in more] and True,
}
_ENTRY = {
    "getKey": lambda e: e.key,
    "getValue": lambda e: e.table[e.key],
    "setValue": lambda e, v: _put(e.table, e.key, v),
}


class cfx_input:
    """A `Scanner` of standard input."""

    def __init__(self):
        self.rest = sys.stdin.read()

    def next(self):
        found = re.match(r"\s*(\S+)", self.rest)
        if found is None:
            raise cfx_Thrown("no more input")
        self.rest = self.rest[found.end() :]
        return found[1]

    def nextLine(self):
        line, _, self.rest = self.rest.partition("\n")
        return line

    def nextInt(self):
        return int(self.next())

    def nextDouble(self):
        return float(self.next())

    def nextBoolean(self):
        return self.next() == "true"

    def hasNext(self):
        return bool(self.rest.strip())

    def close(self):
        self.rest = ""

    nextLong, hasNextInt, hasNextLine = nextInt, hasNext, hasNext


_BUILDER = {
    "length": len,
    "toString": lambda b: b.text,
    "charAt": lambda b, i: cfx_Char(cfx_at(b.text, i)),
    "indexOf": lambda b, x: b.text.find(x),
}
_BOXED = {
    "equals": lambda n, x: n == x,
    "intValue": int,
    "doubleValue": float,
    "longValue": int,
    "compareTo": lambda n, x: (n > x) - (n < x),
    "getAsInt": lambda n: n,
    "getAsDouble": lambda n: n,
    "get": lambda n: n,
    "orElse": lambda n, x: n,
    "toString": cfx_shown,
}
_KINDS = [(cfx_Builder, _BUILDER), (_Entry, _ENTRY), (_Set, _SET), (dict, _MAP), (list, _LIST), (str, _TEXT)]
_KINDS += [((int, float), _BOXED)]


def cfx_jcall(value, name, *given):
    """Call a method of a value."""
    if isinstance(value, cfx_Builder | cfx_input) and hasattr(value, name):
        return getattr(value, name)(*given)
    for kind, methods in _KINDS:
        if isinstance(value, kind) and name in methods:
            return methods[name](value, *given)
    if callable(value):
        return value(*given)  # the one method of a functional interface
    return cfx_call(value, name, *given)


def _sort_part(items, *given):
    if len(given) == 2:
        items[given[0] : given[1]] = sorted(items[given[0] : given[1]])
    else:
        _sorted_here(items, *given)


def _swapped(items, i, j):
    items[i], items[j] = items[j], items[i]


def _filled(items, value):
    items[:] = [value] * len(items)


def _reversed_here(items):
    items.reverse()


_STATICS = dict(_STATIC)
_STATICS |= {
    "Math.round": lambda n: math.floor(n + 0.5),
    "Math.floor": lambda n: float(math.floor(n)),
    "Math.ceil": lambda n: float(math.ceil(n)),
    "Math.sqrt": lambda n: math.sqrt(n) if n >= 0 else cfx_nan,
    "Math.pow": lambda a, b: float(a) ** b,
    "Math.abs": abs,
    "Math.max": lambda a, b: b if b > a else a,
    "Math.min": lambda a, b: b if b < a else a,
    "Math.floorMod": lambda a, b: a % b,
    "Math.floorDiv": lambda a, b: a // b,
    "Integer.parseInt": lambda s, base=10: int(s, base),
    "Integer.valueOf": lambda s: int(s) if isinstance(s, str) else s,
    "Integer.toString": lambda n, base=10: _based(n, base),
    "Integer.toBinaryString": lambda n: _based(n % 2**32 if n < 0 else n, 2),
    "Integer.toHexString": lambda n: _based(n % 2**32 if n < 0 else n, 16),
    "Integer.toOctalString": lambda n: _based(n % 2**32 if n < 0 else n, 8),
    "Integer.bitCount": lambda n: bin(n % 2**32).count("1"),
    "Integer.compare": lambda a, b: (a > b) - (a < b),
    "Integer.sum": lambda a, b: a + b,
    "Integer.max": max,
    "Integer.min": min,
    "Long.parseLong": int,
    "Double.parseDouble": float,
    "Double.compare": lambda a, b: (a > b) - (a < b),
    "Double.valueOf": float,
    "String.valueOf": lambda v: "".join(map(cfx_shown, v)) if isinstance(v, list) else cfx_shown(v),
    "String.join": lambda sign, *parts: sign.join(
        map(cfx_shown, cfx_items(parts[0]) if len(parts) == 1 and not isinstance(parts[0], str) else parts)
    ),
    "String.format": _formatted,
    "Character.isDigit": lambda c: chr(ord(c)).isdigit(),
    "Character.isLetter": lambda c: str(c).isalpha(),
    "Character.isAlphabetic": lambda c: str(cfx_Char(c)).isalpha(),
    "Character.isLetterOrDigit": lambda c: str(c).isalnum(),
    "Character.isUpperCase": lambda c: str(c).isupper(),
    "Character.isLowerCase": lambda c: str(c).islower(),
    "Character.isWhitespace": lambda c: str(c).isspace(),
    "Character.isSpaceChar": lambda c: str(c) == " ",
    "Character.toUpperCase": lambda c: cfx_Char(str(c).upper()),
    "Character.toLowerCase": lambda c: cfx_Char(str(c).lower()),
    "Character.getNumericValue": lambda c: int(str(c), 36),
    "Character.toString": str,
    "Character.valueOf": cfx_Char,
    "Arrays.sort": _sort_part,
    "Arrays.fill": _filled,
    "Arrays.stream": list,
    "Arrays.asList": lambda *a: list(a[0]) if len(a) == 1 and isinstance(a[0], list) else list(a),
    "Arrays.toString": lambda a: "[" + ", ".join(map(cfx_shown, a)) + "]",
    "Arrays.copyOf": lambda a, n: (a + [0] * n)[:n],
    "Arrays.copyOfRange": lambda a, i, j: (a + [0] * j)[i:j],
    "Arrays.equals": cfx_equal,
    "List.of": lambda *a: list(a),
    "Set.of": lambda *a: _Set((v, v) for v in a),
    "Map.of": lambda *a: dict(zip(a[::2], a[1::2], strict=False)),
    "Collections.sort": _sort_part,
    "Collections.reverse": _reversed_here,
    "Collections.swap": _swapped,
    "Collections.max": lambda a: max(cfx_items(a)),
    "Collections.min": lambda a: min(cfx_items(a)),
    "Collections.frequency": lambda a, v: list(a).count(v),
    "Collections.emptyList": lambda: [],
    "Collections.reverseOrder": lambda: lambda a, b: (b > a) - (b < a),
    "Collectors.toList": lambda: list,
    "Collectors.toSet": lambda: lambda a: _Set((v, v) for v in a),
    "Collectors.joining": lambda sign="": lambda a: sign.join(map(cfx_shown, a)),
    "IntStream.rangeClosed": lambda a, b: list(range(a, b + 1)),
    "IntStream.range": lambda a, b: list(range(a, b)),
    "Objects.equals": cfx_equal,
}


def cfx_jstatic(name, *given):
    """Call a static method."""
    return _STATICS[name](*given)


def cfx_reference(owner, name):
    """Return a function for `Owner::name`."""
    full = f"{owner}.{name}"
    if name == "new":
        return lambda *given: cfx_new(owner, *given)
    return _STATICS[full] if full in _STATICS else lambda value, *given: cfx_jcall(value, name, *given)
