"""JavaScript and Java run as Python give the values that the languages give."""

from __future__ import annotations

import ast
import builtins
import math
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codefit.core.types import Outcome
from codefit.curate.leaks.foreign import runtime, translated, with_runtime
from codefit.curate.leaks.foreign.runtime_js import cfx_call
from codefit.sandbox import Program, Sandbox

JAVASCRIPT = """
function loops(n) {
  let total = 0;
  for (let i = 0; i < n; i++) { if (i % 3 === 1) continue; if (i > 7) break; total += i }
  do { total++ } while (total < 5);
  let k = 3; while (k--) total += k;
  return total;
}
const words = (text) => text.trim().split(/\\s+/).map(w => w[0].toUpperCase() + w.slice(1).toLowerCase()).join(" ");
function tally(items) {
  const seen = {};
  for (const x of items) seen[x] = (seen[x] || 0) + 1;
  return Object.entries(seen).sort(([a, m], [b, n]) => n - m || a.localeCompare(b)).map(([k]) => k);
}
function counter(steps) {
  let count = 0;
  const add = function (by = 1) { count += by; return count };
  for (const step of steps) step > 1 ? add(step) : add();
  return { count, half: count / 2, text: `${count}!` };
}
function numbers(x) { return [7 / 2, -7 % 3, 2 ** 10, parseInt("12px"), Math.max(...[x, 3]), ~~3.7, x?.y ?? "none"] }
function truth(x) { return [!!x, typeof x, [] ? 1 : 2, x === 1, "1" + x, [3, 20, 100].sort()] }
function kind(n) {
  switch (n) { case 0: return "none"; case 1: case 2: { return "few" } default: return "many" }
}
function unique(xs) { return [...new Set(xs)].filter((x, i, all) => all.indexOf(x) === i).reverse() }
function late(n) { return inner(n) + 1; function inner(m) { return m <= 0 ? 0 : m + late(m - 1) } }
"""
JAVA = """
import java.util.*;
public class Main {
    private static final Map<Character, Integer> WORTH = Map.of('a', 1, 'b', 2);
    public static int divide(int a, int b) { return a / b; }
    public static double mean(int[] xs) { double sum = 0; for (int x : xs) { sum += x; } return sum / xs.length; }
    static String shift(String s, int k) {
        StringBuilder out = new StringBuilder();
        for (char c : s.toCharArray()) { out.append((char) ((c - 'a' + k) % 26 + 'a')); }
        return out.reverse().toString();
    }
    static int worth(String s) {
        int total = 0;
        for (int i = 0; i < s.length(); i++) total += WORTH.getOrDefault(s.charAt(i), 0);
        return total;
    }
    public static List<Integer> twice(List<Integer> xs) {
        Set<Integer> seen = new HashSet<>(); List<Integer> found = new ArrayList<>();
        for (Integer x : xs) { if (!seen.add(x) && !found.contains(x)) { found.add(x); } }
        Collections.sort(found);
        return found;
    }
    public static int[][] turn(int[][] m) {
        int[][] out = new int[m[0].length][m.length];
        for (int i = 0; i < m.length; i++) for (int j = 0; j < m[0].length; j++) out[j][i] = m[i][j];
        return out;
    }
}
"""
GIVEN: list[tuple[str, str, tuple[Any, ...], Any]] = [
    (JAVASCRIPT, "loops", (20,), 20),
    (JAVASCRIPT, "words", ("  hello bIG world ",), "Hello Big World"),
    (JAVASCRIPT, "tally", (["b", "a", "b", "c", "a", "b"],), ["b", "a", "c"]),
    (JAVASCRIPT, "counter", ([1, 5, 0],), {"count": 7, "half": 3.5, "text": "7!"}),
    (JAVASCRIPT, "numbers", (9,), [3.5, -1, 1024, 12, 9, 3, "none"]),
    (JAVASCRIPT, "truth", (0,), [False, "number", 1, False, "10", [100, 20, 3]]),
    (JAVASCRIPT, "kind", (2,), "few"),
    (JAVASCRIPT, "kind", (5,), "many"),
    (JAVASCRIPT, "unique", ([3, 1, 3, 2],), [2, 1, 3]),
    (JAVASCRIPT, "late", (2,), 6),
    (JAVA, "divide", (-7, 2), -3),
    (JAVA, "mean", ([1, 2],), 1.5),
    (JAVA, "shift", ("xyz", 2), "baz"),
    (JAVA, "worth", ("abca",), 4),
    (JAVA, "twice", ([5, 1, 5, 1, 2],), [1, 5]),
    (JAVA, "turn", ([[1, 2, 3], [4, 5, 6]],), [[1, 4], [2, 5], [3, 6]]),
]


@pytest.mark.parametrize(("text", "name", "arguments", "expected"), GIVEN)
def test_rewritten_functions_give_what_the_language_gives(
    text: str, name: str, arguments: tuple[Any, ...], expected: Any, sandbox: Sandbox
) -> None:
    source = translated(f"Here it is:\n```\n{text}\n```\nThat is all.")
    assert source is not None
    run = sandbox.run(Program(with_runtime(source), "calls", (arguments,), entry_point=name))
    assert run.outcome is Outcome.PASSED, run
    assert run.frames[0].value == expected


@pytest.mark.parametrize(
    "text",
    [
        "The function is used to filter a list => it takes two values.",
        "class Point { constructor(x) { this.x = x; } }",
        "async function f() { await g(); }",
        "function* f() { yield 1; }",
        "outer: for (const x of xs) { continue outer; }",
        "function f(x) { switch (x) { case 1: x++; case 2: return x; } }",
        "public class P { private int x; public P(int x) { this.x = x; } }",
        "<script>function f() { return 1; }</script>",
        "function f( {",
        "const f = `${`",
        "let x = " + "(" * 5_000,
    ],
)
def test_what_is_not_understood_is_left_alone(text: str) -> None:
    assert translated(text) is None


def test_the_helpers_have_all_that_they_call() -> None:
    tree = ast.parse(with_runtime("cfx_add(1, 1)"))
    names = [n for n in ast.walk(tree) if isinstance(n, ast.Name)]
    bound = {n.id for n in names if not isinstance(n.ctx, ast.Load)}
    bound |= {n.arg for n in ast.walk(tree) if isinstance(n, ast.arg)}
    bound |= {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    bound |= {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    assert {n.id for n in names} - bound <= set(dir(builtins))


@given(st.text(alphabet="function f(x){}[]=>;,.:?'\"`$/*+-<!&|0a \n", max_size=60))
def test_no_text_breaks_the_reader(text: str) -> None:
    source = translated(f"let y = 1; {text}")
    if source is not None:
        compile(source, "text", "exec")


WHOLE = st.integers(-(10**6), 10**6)


@given(WHOLE, WHOLE.filter(bool))
def test_whole_numbers_are_divided_towards_zero(a: int, b: int) -> None:
    whole, rest = runtime.cfx_jdiv(a, b), runtime.cfx_mod(a, b)
    assert whole * b + rest == a
    assert abs(rest) < abs(b)
    assert rest == 0 or (rest < 0) == (a < 0)


@given(st.integers(-(2**31), 2**31 - 1), st.integers(0, 31))
def test_bits_are_those_of_32_bit_words(a: int, b: int) -> None:
    assert runtime.cfx_bits(">>>", a, b) == (a % 2**32) >> b
    assert runtime.cfx_bits(">>", a, b) == math.floor(a / 2**b)
    assert -(2**31) <= runtime.cfx_bits("<<", a, b) < 2**31
    assert runtime.cfx_bits("^", runtime.cfx_bits("^", a, b), b) == a


@given(st.lists(st.integers(), max_size=8), st.integers(-9, 9), st.integers(0, 9), st.lists(st.integers()))
def test_a_spliced_array_holds_the_rest_and_the_new(
    items: list[int], start: int, count: int, new: list[int]
) -> None:
    kept = list(items)
    gone = cfx_call(items, "splice", start, count, *new)
    place = max(0, len(kept) + start) if start < 0 else min(start, len(kept))
    assert kept[place : place + count] == gone
    assert items == kept[:place] + new + kept[place + count :]


@given(st.text(max_size=9), st.integers(-12, 12), st.integers(-12, 12))
def test_parts_of_texts_swap_their_ends(text: str, a: int, b: int) -> None:
    assert cfx_call(text, "substring", a, b) == cfx_call(text, "substring", b, a)
    assert cfx_call(text, "slice", a) == text[a:]
    assert cfx_call(cfx_call(text, "split", ""), "join", "") == text


@pytest.mark.parametrize(
    "answer",
    [
        "int " + " " * 15_000 + "f", "public static " + "int , " * 3_000, "```" * 6_000 + "function f(x){}",
        "\n" * 19_000 + "const x = (", "function f(x){return " + "(" * 5_000 + "x}", "const f = x => " + "[" * 15_000,
        "function f(){return " + "9" * 10_000 + "}", "const f=x=>`" + "${`" * 4_000, "const f=" + "a=>" * 5_000 + "1",
        "function f(){ /* " + "x" * 15_000, "int " + " " * 5_000_000 + "f", "function f(x){return \x00 \ud800}",
    ],
    ids=range(12),
)  # fmt: skip
def test_text_made_to_take_forever_or_to_break_a_parser_is_left_alone_at_once(answer: str) -> None:
    began = time.process_time()
    assert translated(answer) is None
    assert time.process_time() - began < 5  # seconds that only a square of the length would take


@given(
    st.lists(st.tuples(st.integers(0, 140), st.sampled_from("(){}[];,.+-*/=<>!?:'\"`$\\ 01ax\n")), max_size=8)
)
def test_broken_javascript_is_python_or_nothing(edits: list[tuple[int, str]]) -> None:
    text = list("function f(a,b){let s=0;for(let i=0;i<a.length;i++){if(a[i]%2===0){s+=a[i]*b}else{s-=1}}"
                "return s.toString().split('').map(x=>parseInt(x))}")  # fmt: skip
    for at, letter in edits:
        text[at % len(text)] = letter
    found = translated("".join(text))
    if found is not None:
        ast.parse(found)
