"""Language: which language an answer is written in, by explainable signs."""

from __future__ import annotations

import ast
import re
from collections import Counter
from dataclasses import replace

from codefit.core.types import Row
from codefit.curate.code import parse
from codefit.curate.step import Context, StepResult, split

_TYPED = (
    r"\b(int|double|float|char|long|bool|boolean|string|String)(\[\])? \w+(\[.*\])? ?[=;]|\bfor ?\(int \w+"
)
_SIGNS: dict[str, tuple[tuple[str, float], ...]] = {
    "python": (
        (r"^\s*(async )?def \w+\(.*\).*:\s*(#.*)?$", 3),
        (r"^\s*(from [\w.]+ )?import [\w.]+( as \w+)?(, *\w+)*\s*$", 2),
        (r"^\s*(if|elif|for|while|with|try|else|except)\b[^{};]*:\s*(#.*)?$", 2),
        (r"^\s*class \w+(\(.*\))?:\s*$", 3),
        (r"\bprint ?\(|\blen\(|\brange\(|\bself\.|\blambda \w*:|\bNone\b|\bTrue\b|\bFalse\b", 1),
    ),
    "javascript": (
        (r"\b(const|let|var) \w+ ?=|\b(const|let|var) [{\[]", 2),
        (r"\bfunction\b ?\w*\(|=>|===|\bconsole\.log\(|\bdocument\.|\brequire\(", 2),
        (r"\bclass \w+ (extends [\w.]+ ?)?\{|\bthis\.\w+|^import .* from ['\"]|\b(alert|window)[.(]", 2),
    ),
    "java": (
        (r"\bpublic (static |final )*(class|void|int|String|boolean)\b|\bSystem\.out\.|\bString\[\]", 3),
        (r"\b(private|protected) \w+|\bnew \w+(<.*>)?\(|\bimport java", 2),
        (_TYPED, 1),
    ),
    "c++": (
        (r"#include ?<|\bstd::|\bcout ?<<|\bcin ?>>|\busing namespace\b", 3),
        (r"\b(int|void|double|char|float|bool) \w+\([^)]*\) ?\{?", 1),
        (_TYPED, 1),
    ),
    "c#": (
        (r"\busing System|\bConsole\.(Write|Read)|\bnamespace \w+|\bstring\[\] args", 4),
        (
            r"\bpublic (static )?[\w<>\[\]]+ [A-Z]\w*\(|\bforeach ?\(var|\{ ?get; ?set; ?\}",
            3,
        ),
        (_TYPED, 1),
    ),
    "sql": (
        (r"(?i:\bselect\b[\s\S]+\bfrom\b|\binsert into\b|\bcreate (table|database|index|view)\b)", 3),
        (r"(?i:\bupdate \w+\s+set\b|\bdelete from\b|\balter table\b|\bgroup by\b|\bdrop table\b)", 3),
    ),
    "html/css": (
        (
            r"</?(html|div|p|body|head|form|table|ul|li|a|h\d|span|script|style|input|img|button|!doctype)\b",
            3,
        ),
        (r"^\s*[.#]?[\w-]+(:\w+)?(, ?[.#]?\w+)* ?\{\s*$|^\s*[\w-]+: [^;{}]+;\s*$", 1.5),
    ),
    "bash": (
        (
            r"^#!.*\b(ba)?sh\b|\becho \"?\$|\bfi$|\bdone$|^\s*(sudo|grep|awk|sed|ls|cd|mkdir|curl|docker|git|find) ",
            3,
        ),
    ),
    "php": ((r"<\?php|\$\w+ ?=|\$\w+->|\becho \$|[(,] ?\$\w+[,)]", 3),),
    "ruby": ((r"^\s*def \w+(\(.*\))?$|\bputs \b|\bend$|\.each do\b|\bdo \|", 2),),
    "go": ((r"^package \w+|\bfunc \w+\(.*\).*\{|\bfmt\.", 3),),
    "rust": ((r"\bfn \w+\(.*\).*\{|\blet mut \b|\bprintln!", 3),),
    "swift/kotlin": ((r"\bfun \w+\(.*\{|\bfunc \w+\(.*-> ?\w+ ?\{|\bguard let\b|\bval \w+ ?=", 2.5),),
    "r/matlab": ((r"<- ?(function|c\()|^\s*library\(\w+\)|^\s*end\s*%|\bdata\.frame\(", 3),),
}
_COMPILED = {
    name: tuple((re.compile(pattern, re.MULTILINE), weight) for pattern, weight in signs)
    for name, signs in _SIGNS.items()
}
_NAMED = {
    "python": r"\bpython\b|\bnumpy\b|\bpandas\b|\bdjango\b|\bflask\b",
    "javascript": r"\bjavascript\b|\bjs\b|\bnode\.?js\b|\breact\b|\bjquery\b|\btypescript\b",
    "java": r"\bjava\b",
    "c++": r"c\+\+|\bcpp\b",
    "c#": r"c#|\.net\b",
    "sql": r"\bsql\b|\bmysql\b|\bquery\b",
    "html/css": r"\bhtml\d?\b|\bcss\b",
    "bash": r"\bbash\b|\bshell\b|\blinux command\b",
    "php": r"\bphp\b",
    "ruby": r"\bruby\b|\brails\b",
    "go": r"\bgolang\b|\bin go\b",
    "rust": r"\brust\b",
    "swift/kotlin": r"\bswift\b|\bkotlin\b",
    "r/matlab": r"\bmatlab\b|\bin r\b",
}
_NAMED_COMPILED = {name: re.compile(pattern, re.IGNORECASE) for name, pattern in _NAMED.items()}
_SCAN_CHARS = 4_000
_TWIN = {"javascript": "html/css", "html/css": "javascript"}  # one is written inside the other
PROSE = "prose"
_CERTAIN = 6.0


class Language:
    """Detects each answer's language, notes it, and keeps the languages that the recipe names."""

    name = "language"

    def run(self, rows: list[Row], ctx: Context) -> StepResult:
        """Set `language` on every row; drop those in other languages."""
        named, confidence = [], {}
        for row in rows:
            language, confidence[row.id] = detect(row.response, row.instruction)
            named.append(replace(row, language=language))
            ctx.note(row.id, language=language, language_confidence=confidence[row.id])
        keep = {language.lower() for language in ctx.settings.languages}
        shares = dict(sorted(Counter(str(r.language) for r in named).items(), key=lambda kv: (-kv[1], kv[0])))
        return split(
            self.name,
            named,
            lambda r: None if r.language in keep else f"language: {r.language}",
            languages=shares,
        )


def detect(answer: str, prompt: str = "") -> tuple[str, float]:
    """Return (language, confidence 0 to 1) of an answer; `prose` where nothing looks like code.

    Signs in the answer count, a language named in the prompt counts as one more, and an answer
    that parses as Python with more than bare words counts as Python unless another is named.
    """
    text, request = answer[:_SCAN_CHARS], prompt[:_SCAN_CHARS]
    asked = [name for name, pattern in _NAMED_COMPILED.items() if pattern.search(request)]
    evidence = _python_evidence(answer)
    if evidence >= _CERTAIN and asked in ([], ["python"]):
        return "python", 1.0
    scores = {name: _score(text, signs) for name, signs in _COMPILED.items()}
    scores["python"] += evidence
    for name in asked:
        if scores[name] or (len(asked) == 1 and name != "sql" and _looks_like_code(text)):
            scores[name] += 2
    best = max(scores, key=lambda n: (scores[n], n == "python"))
    if scores[best] < 1:
        return PROSE, 1.0 - scores[best]
    if asked and best not in asked and best == "python" and _TWIN.get(asked[0]) != best and scores[asked[0]]:
        best = asked[0]
    total = sum(scores.values())
    return best, round(scores[best] / total, 3)


def _score(text: str, signs: tuple[tuple[re.Pattern[str], float], ...]) -> float:
    return sum(
        weight * min(3, len(pattern.findall(text))) / 2 for pattern, weight in signs if pattern.search(text)
    )


def _python_evidence(answer: str) -> float:
    tree = parse(answer)
    if tree is None:
        return 0.0
    kinds = {type(n) for n in tree.body}
    if kinds & {
        ast.FunctionDef,
        ast.ClassDef,
        ast.Import,
        ast.ImportFrom,
        ast.For,
        ast.While,
        ast.If,
        ast.With,
    }:
        return _CERTAIN
    if kinds & {ast.Assign, ast.AugAssign, ast.Assert}:
        return 2.0
    expressions = [n.value for n in tree.body if isinstance(n, ast.Expr)]
    return (
        1.5
        if any(isinstance(e, ast.Call | ast.ListComp | ast.Subscript | ast.Lambda) for e in expressions)
        else 0.0
    )


def _looks_like_code(text: str) -> bool:
    return bool(re.search(r"[=(){}\[\];<>]", text))
