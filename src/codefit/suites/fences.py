"""Code blocks in chat text: fenced ones of every make, and the code elements of HTML."""

from __future__ import annotations

import html
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace

from codefit.suites.prefix import does_something, open_string, parse, stretches, unbound_words

_FENCE = re.compile(r"(?P<lead>(?:[ \t>]|[-*+] |\d{1,3}[.)] )*)(?P<mark>`{3,}|~{3,})(?P<info>.*)")
_WORD = re.compile(r"[\w+#.-]*")
_CODE = re.compile(r"(?:[\w.+#-]+[ \t]+)?(?P<code>(?:def|class|import|from|async def)[ \t]+\w.*|@\w.*)")
_LANGUAGE = re.compile(r"[{.\s]*(?P<word>[a-z]*)", re.IGNORECASE)
_PYTHON = {"", "python", "py", "pycon", "ipython", "sage", "code"}
_LANGUAGE_LINE = re.compile(r"\s*(?:python|py)3?\s*", re.IGNORECASE)
_ELEMENT = re.compile(r"<(?P<tag>pre|code)\b[^<>\n]*>", re.IGNORECASE)
_TAG = re.compile(r"</?(?:pre|code)\b[^<>\n]*>", re.IGNORECASE)
_DEPTH_MAX = 3
_LOOK = 500
_HEADER = re.compile(r"(?:(?:async|class|def|elif|else|except|finally|for|if|match|try|while|with)\b|@\w).*")
_SESSION = re.compile(r"^[ \t]*(?:>>>|In \[\d+\]:) ", re.MULTILINE)
_TYPED = re.compile(r"[ \t]*(?:>>>|\.\.\.:?|In \[\d+\]:)(?: (?P<code>.*)|[ \t]*$)")
_TRIPLE_FENCE = re.compile(
    r"^(?P<mark>'''|\"{3})(?:python|py)3?[ \t]*\n(?P<code>.*?)(?:^(?P=mark)|\Z)",
    re.MULTILINE | re.DOTALL | re.I,
)
_QUOTED = re.compile(r"^[ \t]*>(?!>>) ?", re.MULTILINE)
_INLINE = re.compile(r"(?<!`)(?P<mark>`{1,3})(?!`)(?P<code>[^`\n]+)(?P=mark)(?!`)")
_MARK = re.compile(
    r"(?P<thought></(?:think|thinking|thought|reasoning)>|<\|end_of_thought\|>|<\|channel\|>final<\|message\|>)"
    r"|<\|(?:im_start|start_header_id|start)\|> *(?P<role>\w+)(?:<\|end_header_id\|>)?"
    r"|<[|｜](?P<token>[\w▁ ]{1,40})[|｜]>|(?P<end></s>)|<(?:end|start)_of_turn>(?P<turn>model|user)?"
    r"|(?P<instruction>\[INST\])|(?P<response>\[/INST\])"
    r"|^###[ ]*(?P<head>Instruction|Response|Human|User|Assistant|Answer)[ ]*(?::|$)"
    r"|^(?P<who>Human|USER|Assistant|ASSISTANT):",
    re.MULTILINE,
)
_END_MARK = re.compile(r"(?:<[|｜][\w▁ ]{1,40}[|｜]>|</s>|<end_of_turn>)$", re.MULTILINE)
_TURNS = dict.fromkeys(("assistant", "model", "response", "answer", "[/inst]"), "answer") | dict.fromkeys(
    ("user", "human", "system", "tool", "instruction", "[inst]"), "asked"
)
_BARE_AMPERSAND = re.compile(r"&(?!\w+;|#\w+;)")


@dataclass(frozen=True, slots=True)
class Block:
    """The text of one block, from lines `first` to `end` (from 0, exclusive).

    `python` is False where the fence names another language, `closed` where the text ends first.
    """

    text: str
    python: bool
    note: str = ""
    closed: bool = True
    first: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True)
class _Fence:
    line: int
    mark: str
    info: str
    lead: str = ""
    text: str = ""  # what stands before the fence on its line


def fenced_blocks(text: str) -> list[Block]:
    """Return the fenced blocks in order.

    A block without a closing fence runs to the next opening one or to the end; code before a first
    bare fence is taken as a block whose opening fence was in the prompt. A fence inside a string of
    a program does not close its block where the program parses only with what follows.
    """
    lines = text.split("\n")
    fences = list(_fences(lines))
    quoted = _string_lines(text) if fences and ('"""' in text or "'''" in text) else {}
    return list(_Scan(lines, [f for f in fences if f.line not in quoted]).blocks())


def _string_lines(text: str) -> dict[int, str]:
    """Return the lines that begin inside a string of code that parses, with its quotes."""
    found = {}
    for part in stretches(text, open_end=True):
        quote = ""
        for n, line in enumerate(part.source.split("\n"), part.first):
            if quote:
                found[n] = quote
            quote = open_string(line, quote)
    return found


def _fences(lines: list[str]) -> Iterator[_Fence]:
    for i, full in enumerate(lines):
        if "```" not in full and "~~~" not in full:
            continue
        line = full.rstrip()
        match = _FENCE.fullmatch(line)
        if match and (match["mark"][0] == "~" or "`" not in match["info"]):
            yield _Fence(i, match["mark"], match["info"].strip(), match["lead"])
        elif line.count("```") == 1:
            text, mark, info = line.partition("```")
            if text.strip() and text.lstrip(" \t>")[:1] != "#" and _WORD.fullmatch(info.strip("` \t")):
                yield _Fence(i, mark, info.strip("` \t"), text=text)


class _Scan:
    """Reads the blocks of a text; what it reads ahead in vain is bounded by the text's length."""

    def __init__(self, lines: list[str], fences: list[_Fence], depth: int = 0) -> None:
        self._depth = depth
        self._lines = lines
        self._fences = fences
        self._spare = 4 * len(lines) + 1_000

    def blocks(self) -> Iterator[Block]:
        at = 0
        if self._fences and self._is_unopened(self._fences[0]):
            end = self._fences[0]
            yield Block(self._body(None, end), True, ", unopened", True, 0, end.line + bool(end.text))
            at = 1
        while at < len(self._fences):
            opening, at = self._fences[at], self._closing(at)
            closing = self._fences[at] if at < len(self._fences) else None
            yield from self._nested(opening, closing)
            at += closing is not None and not _opens(closing)

    def _is_unopened(self, fence: _Fence) -> bool:
        if fence.info:
            return False
        module = parse(self._body(None, fence))
        return module is not None and does_something(module) and not unbound_words(module)

    def _closing(self, at: int) -> int:
        """Return the index of the fence that ends block `at`; the number of fences if none does."""
        opening, inside = self._fences[at], None
        line, quote = opening.line + 1, ""
        for j in range(at + 1, len(self._fences)):
            fence = self._fences[j]
            if not _ends(opening, fence):
                continue
            while line < fence.line:
                quote = open_string(self._lines[line], quote)
                line += 1
                self._spare -= inside is not None
            if not (open_string(fence.text, quote) if fence.text else quote):
                return j if inside is None or self._holds(opening, inside, fence) else inside
            inside = j if inside is None else inside
            if self._spare < 0:
                return inside
        if inside is None or self._holds(opening, inside, None):
            return len(self._fences)
        return inside

    def _holds(self, opening: _Fence, inside: int, end: _Fence | None) -> bool:
        """Return True if the fence `inside` stands in a string of the code that goes on to `end`."""
        body = self._body(opening, end)
        self._spare -= body.count("\n")
        line = self._fences[inside].line - opening.line - 1
        return any(s.first <= line < s.end for s in stretches(body, open_end=end is None))

    def _nested(self, opening: _Fence, closing: _Fence | None) -> Iterator[Block]:
        """Yield a block, or those inside it where it holds Markdown."""
        body = self._body(opening, closing)
        end = closing.line if closing else len(self._lines)
        block = Block(body, _is_python(opening), "", closing is not None, opening.line + 1, end)
        if len(opening.mark) > 3 and self._depth < _DEPTH_MAX and parse(body) is None:
            lines = body.split("\n")
            inner = list(_Scan(lines, list(_fences(lines)), self._depth + 1).blocks())
            if inner:
                yield from (replace(b, first=block.first, end=end) for b in inner)
                return
        yield block if block.closed else replace(block, note=", unclosed")

    def _body(self, opening: _Fence | None, closing: _Fence | None) -> str:
        start = opening.line + 1 if opening else 0
        body = self._lines[start : closing.line if closing else len(self._lines)]
        if closing and closing.text and not _opens(closing):
            body = [*body, closing.text.rstrip()]
        if opening:
            body = _without_lead(body, opening.lead)
            if body and _LANGUAGE_LINE.fullmatch(body[0]):
                body = body[1:]
            if code := _CODE.fullmatch(opening.info):
                body = [code["code"], *body]
        return _dedented("\n".join(body))


def _opens(fence: _Fence) -> bool:
    """Return True for a fence that names a language; other words are prose behind a closing fence."""
    return re.fullmatch(r"[\w+#.{][^ \t]*|\{.*\}|\w+[ \t]+[\w-]+=.*|python.*", fence.info, re.I) is not None


def _ends(opening: _Fence, fence: _Fence) -> bool:
    if fence.text:
        return opening.mark[0] == "`"
    return _opens(fence) or fence.mark.startswith(opening.mark)


def _is_python(fence: _Fence) -> bool:
    match = _LANGUAGE.match(fence.info)
    word = match["word"].lower() if match else ""
    return word in _PYTHON or _CODE.fullmatch(fence.info) is not None


def _without_lead(lines: list[str], lead: str) -> list[str]:
    if ">" in lead:
        quote = re.compile(rf"(?:[ \t]*>){{1,{lead.count('>')}}} ?")
        return [quote.sub("", line, count=1) if quote.match(line) else line for line in lines]
    space = re.sub(r"\S", " ", lead)
    return [line.removeprefix(space) for line in lines] if space else lines


def _dedented(text: str) -> str:
    """Return a text without the indent that all its lines share; blank lines stay as they are."""
    lines = text.split("\n")
    indents = [line[: len(line) - len(line.lstrip())] for line in lines if line.strip()]
    low, high = min(indents, default=""), max(indents, default="")
    width = next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), len(low))
    return "\n".join(line.removeprefix(low[:width]) for line in lines) if width else text


def html_blocks(text: str) -> list[Block]:
    """Return the code elements of HTML, with entities resolved where the code has been escaped."""
    found, at, line = [], 0, 0
    while match := _ELEMENT.search(text, at):
        closing = re.compile(f"</{match['tag']}>", re.IGNORECASE).search(text, match.end())
        first = line + text.count("\n", at, match.end())
        at = closing.start() if closing else len(text)
        line = first + text.count("\n", match.end(), at)
        code = _TAG.sub("", text[match.end() : at]).strip("\n")
        if "<" not in code and not _BARE_AMPERSAND.search(code):
            code = html.unescape(code)
        found.append(Block(_dedented(code), True, "", closing is not None, first, line + 1))
    return found


def indented_texts(text: str) -> list[str]:
    """Return the indented parts of a text, which Markdown takes for code, without their indent.

    What stands under a line of code, such as the body of a function, is none.
    """
    parts: list[list[str]] = [[]]
    under_code = False
    for line in text.split("\n"):
        if line[:1] in ("", " ", "\t"):
            parts[-1] += [] if under_code else [line]
            continue
        under_code = under_code if line[0] == "#" else _HEADER.match(line) is not None
        if parts[-1]:
            parts.append([])
    return [_dedented("\n".join(part)) for part in parts if any(line.strip() for line in part)]


def transcript(text: str) -> list[str]:
    """Return what was typed in a session of Python or IPython, if the text is one."""
    if not _SESSION.search(text):
        return []
    typed = (_TYPED.match(line) for line in text.split("\n"))
    return ["\n".join(match["code"] or "" for match in typed if match)]


def triple_quoted(text: str) -> list[str]:
    """Return what stands between triple quotes that were taken for a fence: they name the language."""
    return [match["code"] for match in _TRIPLE_FENCE.finditer(text)]


def unquoted(text: str) -> list[str]:
    """Return a text without the `>` before its lines, if it has any."""
    plain = _QUOTED.sub("", text)
    return [plain] if plain != text else []


def without_fences(text: str) -> list[str]:
    """Return a text without its fence lines, if it has any: a program that goes on inside a fence."""
    lines = text.split("\n")
    marks = {f.line for f in _fences(lines) if not f.text}
    return ["\n".join(line for i, line in enumerate(lines) if i not in marks)] if marks else []


def inline_code(text: str) -> list[str]:
    """Return the pieces of a text between backticks on one line."""
    return [match["code"] for match in _INLINE.finditer(text)]


def answers(text: str) -> Iterator[str]:
    """Yield the parts of a text in the order in which to look for code.

    First what the model said in its turns, then its thoughts, then what stands before the first mark
    and behind the last, then the whole text; never what a user asked where there is an answer. Marks
    inside a block or a string that parses, or between quotes, are part of the code.
    """
    marks = list(_marks(text))
    if not marks:
        yield text
        return
    turns = [kind for _, _, kind in marks if kind in ("answer", "asked", "after")]
    role = "before" if turns[:1] == ["answer"] else "answer"
    parts: list[tuple[str, str]] = []
    at = turn = 0
    for start, end, kind in marks:
        parts.append((role, text[at:start]))
        at = end
        if kind == "thought":
            parts[turn:] = [("thought" if r == "answer" else r, part) for r, part in parts[turn:]]
        if kind != "same":
            role, turn = role if kind == "thought" else kind, len(parts)
    parts.append((role, text[at:]))
    for wanted in ("answer", "thought", "before", "after"):
        yield from (re.sub(r"^ (?=\S)", "", part) for r, part in parts if r == wanted and part.strip())
    if "asked" not in turns or not any(r == "answer" and part.strip() for r, part in parts):
        yield text


def _marks(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield start, end and meaning of each mark of a chat template that isn't part of code."""
    found = list(_MARK.finditer(text))
    if not found:
        return
    elements = [b for b in html_blocks(text) if b.end - b.first > 1]
    blocks = [b for b in [*fenced_blocks(text), *elements] if parse(b.text)]
    code = {n for b in blocks for n in range(b.first, b.end)}
    strings = _string_lines(_END_MARK.sub("", text))
    starts = [0, *(m.end() for m in re.finditer("\n", text)), len(text) + 1]
    for match in found:
        line = bisect_right(starts, match.start()) - 1
        before = text[max(starts[line], match.start() - _LOOK) : match.start()]
        behind = text[match.end() : min(starts[line + 1], match.end() + _LOOK)]
        quoted = any(q in before and q in behind for q in "\"'")
        if line not in code and not quoted and not open_string(before, strings.get(line, "")):
            yield match.start(), match.end(), _meaning(match)


def _meaning(match: re.Match[str]) -> str:
    name = next((g for g in match.groups() if g), "").lower()
    if match["thought"]:
        return "thought"
    if name in _TURNS:
        return _TURNS[name]
    return "same" if name.startswith("begin") or match["role"] else "after"
