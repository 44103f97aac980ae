"""What rewritten JavaScript and Java call: it goes in front of their Python text, into the sandbox.

Values are Python's own: numbers, strings, lists, dicts, sets. A character of Java is a `cfx_Char`. Not kept: the
wrap-around of Java's integers, prototypes, and the difference between `null` and `undefined`.
"""
# ruff: noqa: N801
# mypy: ignore-errors

import functools
import math
import re

cfx_nan, cfx_inf = math.nan, math.inf


class cfx_Thrown(Exception):
    """What a program throws."""


class cfx_Char(str):
    """A character that counts as its number."""

    __slots__ = ()

    def __new__(cls, value):
        return str.__new__(cls, chr(value) if isinstance(value, int) else value)

    def _number(self, other):
        return ord(other) if isinstance(other, str) else other

    def __add__(self, other):
        return ord(self) + self._number(other)

    def __radd__(self, other):
        return self._number(other) + ord(self)

    def __sub__(self, other):
        return ord(self) - self._number(other)

    def __rsub__(self, other):
        return self._number(other) - ord(self)

    def __lt__(self, other):
        return ord(self) < self._number(other)

    def __le__(self, other):
        return ord(self) <= self._number(other)

    def __gt__(self, other):
        return ord(self) > self._number(other)

    def __ge__(self, other):
        return ord(self) >= self._number(other)

    def __eq__(self, other):
        return ord(self) == other if isinstance(other, int) else str.__eq__(self, other)

    __hash__ = str.__hash__


class cfx_Builder:
    """A `StringBuilder`."""

    def __init__(self, text=""):
        self.text = "" if isinstance(text, int) else cfx_shown(text)

    def __len__(self):
        return len(self.text)

    def append(self, value):
        self.text += cfx_shown(value)
        return self

    def reverse(self):
        self.text = self.text[::-1]
        return self

    def insert(self, place, value):
        self.text = self.text[:place] + cfx_shown(value) + self.text[place:]
        return self

    def setCharAt(self, place, value):
        self.text = self.text[:place] + value + self.text[place + 1 :]

    def deleteCharAt(self, place):
        self.text = self.text[:place] + self.text[place + 1 :]
        return self

    def setLength(self, length):
        self.text = self.text[:length]


class cfx_Pattern:
    """A regular expression literal."""

    def __init__(self, body, flags=""):
        body = (
            body.replace("(?<", "(?P<").replace("(?P<=", "(?<=").replace("(?P<!", "(?<!").replace(r"\/", "/")
        )
        known = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL}
        self.all = "g" in flags
        self.plain = re.compile(body, functools.reduce(lambda a, f: a | known.get(f, 0), flags, re.ASCII))


def cfx_plain(function):
    """Give a function Python's own values, whatever it works with."""

    @functools.wraps(function)
    def call(*given):
        return _plain(function(*[_taken(value) for value in given]))

    return call


def _taken(value):
    if isinstance(value, list) and not any(isinstance(v, (list, tuple)) for v in value):
        return value
    return [_taken(v) for v in value] if isinstance(value, (list, tuple)) else value


def _plain(value):
    if isinstance(value, cfx_Builder):
        return value.text
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        return {_plain(k): _plain(v) for k, v in value.items()}
    return {_plain(v) for v in value} if isinstance(value, _Set) else value


class _Set(dict):
    """A set that keeps its order; its members are the keys."""

    def __iter__(self):
        return iter(list(dict.keys(self)))


def cfx_shown(value):
    """Return a value as a program prints it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, cfx_Builder):
        return value.text
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(_plain(value))


def _text(value):
    """Return a value as JavaScript makes a text of it."""
    return (
        ",".join("" if v is None else _text(v) for v in value)
        if isinstance(value, list)
        else cfx_shown(value)
    )


def cfx_joined(*parts):
    return "".join(map(_text, parts))


def cfx_first(*values):
    return values[0]


def cfx_last(*values):
    return values[-1]


def cfx_true(value):
    return True if isinstance(value, (list, dict, cfx_Builder)) else bool(value) and value == value


def cfx_add(a, b):
    if isinstance(a, (str, list)) or isinstance(b, (str, list)):
        return _text(a) + _text(b)
    return (a or 0) + (b or 0)


def cfx_jadd(a, b):
    chars = isinstance(a, cfx_Char), isinstance(b, cfx_Char)
    if (isinstance(a, str) and not chars[0]) or (isinstance(b, str) and not chars[1]):
        return cfx_shown(a) + cfx_shown(b)
    return a + b


def cfx_step(value, step):
    return cfx_Char(ord(value) + step) if isinstance(value, cfx_Char) else cfx_number(value) + step


def cfx_div(a, b):
    if not b:
        return math.nan if not a else math.copysign(math.inf, a)
    return a // b if isinstance(a, int) and isinstance(b, int) and a % b == 0 else a / b


def cfx_jdiv(a, b):
    whole = isinstance(a, int) and isinstance(b, int)
    return a / b if not whole else abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def cfx_mod(a, b):
    a, b = (ord(v) if isinstance(v, cfx_Char) else v for v in (a, b))
    if isinstance(a, int) and isinstance(b, int) and b:
        return abs(a) % abs(b) * (-1 if a < 0 else 1)
    return math.fmod(a, b) if b else math.nan


def cfx_int(value):
    return ord(value) if isinstance(value, cfx_Char) else int(value)


def _word(value):
    value = int(cfx_number(value)) & 0xFFFFFFFF
    return value - 2**32 if value >= 2**31 else value


def cfx_bits(operator, a, b):
    if isinstance(a, bool) and isinstance(b, bool):
        return {"|": a or b, "&": a and b, "^": a != b}[operator]
    x, y = _word(a), _word(b)
    if operator == ">>>":
        return (x & 0xFFFFFFFF) >> (y & 31)
    ways = {"|": lambda: x | y, "&": lambda: x & y, "^": lambda: x ^ y}
    ways |= {"<<": lambda: _word(x << (y & 31)), ">>": lambda: x >> (y & 31)}
    return ways[operator]()


def cfx_same(a, b):
    if isinstance(a, bool) != isinstance(b, bool):
        return False
    if isinstance(a, (list, dict)) and isinstance(b, (list, dict)):
        return a is b
    return a == b


def cfx_equal(a, b):
    return _plain(a) == _plain(b)


def cfx_number(value):
    if isinstance(value, str):
        try:
            return int(value) if value.strip() else 0
        except ValueError:
            pass
        try:
            return float(value)
        except ValueError:
            return math.nan
    return 0 if value is None else value


def cfx_typeof(value):
    if isinstance(value, bool):
        return "boolean"
    if value is None:
        return "undefined"
    if isinstance(value, (int, float)):
        return "number"
    return "string" if isinstance(value, str) else "function" if callable(value) else "object"


def cfx_instance(value, name):
    kinds = {"Array": list, "List": list, "ArrayList": list, "Map": dict, "Set": _Set, "Object": (list, dict)}
    kinds |= {"String": str, "Integer": int, "Double": float, "Number": (int, float), "Error": Exception}
    return isinstance(value, kinds[name])


def cfx_key(key):
    return key if isinstance(key, str) else cfx_shown(key)


def cfx_items(value):
    """Return the items of anything that can be gone over."""
    if value is None:
        raise cfx_Thrown("not iterable")
    if isinstance(value, _Set):
        return list(value)
    if isinstance(value, dict):
        return [[k, v] for k, v in value.items()]
    return list(value)


def cfx_fields(value):
    return dict(value or {})


def cfx_keys(value):
    return [str(i) for i in range(len(value))] if isinstance(value, (list, str)) else list(value)


def cfx_has_key(key, value):
    return cfx_key(key) in cfx_keys(value)


def _place(key):
    if isinstance(key, cfx_Char):
        return ord(key)
    if isinstance(key, str) and key.lstrip("-").isdigit():
        return int(key)
    return int(key) if isinstance(key, float) and key.is_integer() else key


def cfx_get(value, key, optional=False):
    """Return a property or a member; None for those that are not there."""
    if value is None and optional:
        return None
    if isinstance(value, Exception) and key == "message":
        return str(value)
    if key in ("length", "size") and not (isinstance(value, dict) and key in value):
        return len(value)
    if isinstance(value, dict):
        return value.get(key, value.get(cfx_key(key))) if not isinstance(value, _Set) else None
    place = _place(key)
    inside = isinstance(value, (list, str)) and isinstance(place, int) and 0 <= place < len(value)
    if value is None:
        raise cfx_Thrown(f"no {key} of undefined")
    return value[place] if inside else None


def cfx_at(value, key):
    place = _place(key)
    if place < 0:
        raise cfx_Thrown("index out of bounds")
    return value[place]


def cfx_set(value, key, new):
    if isinstance(value, dict):
        value[cfx_key(key)] = new
    elif key == "length":
        del value[new:]
    else:
        place = _place(key)
        if place < 0:
            raise cfx_Thrown("index out of bounds")
        value += [None] * (place + 1 - len(value))
        value[place] = new
    return new


def cfx_delete(value, key):
    return value.pop(cfx_key(key), None) is not None


def cfx_sized(start, *sizes):
    return [cfx_sized(start, *sizes[1:]) if len(sizes) > 1 else start for _ in range(sizes[0])]


def cfx_invoke(function, *given):
    """Call a function with as many arguments as it takes, missing ones undefined."""
    code = getattr(getattr(function, "__wrapped__", function), "__code__", None)
    if code is None or code.co_flags & 4:
        return function(*given[:1]) if code is None else function(*given)
    count = code.co_argcount
    return function(*(list(given) + [None] * count)[:count])


def cfx_order(function):
    """Return the sort key of a comparison; texts by their letters where there is none."""
    if function is None:
        return functools.cmp_to_key(lambda a, b: (_text(a) > _text(b)) - (_text(a) < _text(b)))
    return functools.cmp_to_key(lambda a, b: cfx_number(cfx_invoke(function, a, b)))
