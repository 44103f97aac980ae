"""Render rows and tasks with the model's own chat template, loss on the response only.

A training example is `prefix + response + end of turn`, where `prefix` is exactly the token
sequence that evaluation sends to the model: both come from `ChatFormat.prefix`. `check_parity`
proves it against the template's own rendering of a whole conversation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from codefit.core.errors import InputError
from codefit.core.files import digest
from codefit.core.types import Dropped, Example, Row

IGNORED = -100
FENCE = "```"
_INCOMPLETE = "\ufffd"
_CHARACTER_TOKENS = 4  # a character has at most four bytes, a token at least one
_CONTEXT_TOKENS = 4
_BLANK_LINES = re.compile(r"\A(?:[^\S\n]*\n)+")


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of text with the same mask, for people."""

    text: str
    trained: bool


@dataclass(frozen=True, slots=True)
class Span:
    """One token as text (several where only together they make a character), for people."""

    text: str
    ids: tuple[int, ...]
    trained: bool
    special: bool


class ChatFormat:
    """The one template of a run: model's chat template, system prompt, fence.

    `tokenizer` is a transformers tokenizer with a chat template; raises `InputError` where it
    has none, or no end-of-turn token.
    """

    def __init__(self, tokenizer: Any, *, system: str | None, fence: bool) -> None:
        self._where = str(getattr(tokenizer, "name_or_path", "tokenizer"))
        if not getattr(tokenizer, "chat_template", None):
            todo = "use an instruct model"
            raise InputError("the tokenizer has no chat template", where=self._where, todo=todo)
        self._tokenizer = tokenizer
        self._system = system
        self._fence = fence
        self.end_id = self._end_of_turn()
        self._control = [t for t in tokenizer.all_special_tokens if t]

    def _end_of_turn(self) -> int:
        """Return the token that the template puts after a response."""
        marker = "codefit"
        text = self._render(
            [{"role": "user", "content": "x"}, {"role": "assistant", "content": marker}], False
        )
        if marker not in text:
            todo = "use an instruct model"
            raise InputError("the chat template leaves out the answer", where=self._where, todo=todo)
        tail = self._encode(text[text.rindex(marker) + len(marker) :])
        specials = set(self._tokenizer.all_special_ids)
        for token in tail:
            if token in specials:
                return int(token)
        raise InputError("the chat template does not end a turn with a special token", where="chat template")

    @property
    def revision(self) -> str:
        """Hash over everything that shapes a prompt."""
        template = self._tokenizer.chat_template
        return digest(str(template), repr(self._system), str(self._fence))

    def messages(self, request: str) -> tuple[tuple[str, str], ...]:
        """Return the (role, content) pairs that `prefix` renders, for whoever renders them itself."""
        system = (("system", self._system),) if self._system is not None else ()
        return (*system, ("user", request))

    def begun(self, turns: Iterable[tuple[str, str]], begin: str) -> list[int]:
        """Return the token ids of (role, content) turns and of the first words of the answer to them.

        Of one user turn and no words it is what `prefix` returns.
        """
        return self._encode(self._render([{"role": r, "content": c} for r, c in turns], True) + begin)

    def _render(self, turns: list[dict[str, str]], generate: bool) -> str:
        messages = [{"role": "system", "content": self._system}] if self._system is not None else []
        try:
            text = self._tokenizer.apply_chat_template(
                messages + turns, tokenize=False, add_generation_prompt=generate
            )
        except Exception as e:  # whatever a template of someone else's raises
            reason = (str(e).strip().splitlines() or [type(e).__name__])[0]
            todo = "repair chat_template.jinja" if self._system is None else "leave the system prompt out"
            raise InputError(
                f"the chat template cannot be used: {reason[:200]}", where=self._where, todo=todo
            ) from e
        return str(text)

    def _encode(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False))

    def prefix(self, request: str) -> list[int]:
        """Return the token ids that stand before a response: the prompt of an evaluation."""
        return self._encode(self._render([{"role": "user", "content": request}], True))

    def answer(self, response: str) -> str:
        """Return a response as the model should write it: one fenced block where fences are on.

        Blank lines in front go: they would melt into the line end of the prompt's last token, and
        the model would be trained on a prompt that no evaluation sends.
        """
        code = _BLANK_LINES.sub("", response)
        if not self._fence:
            return code
        return code.rstrip() if FENCE in code else f"{FENCE}python\n{code.rstrip()}\n{FENCE}"

    def example(self, row: Row) -> Example:
        """Return a row as tokens and labels; only the response and its end of turn are trained."""
        prefix = self.prefix(row.instruction)
        response = [*self._encode(self.answer(row.response)), self.end_id]
        return Example(
            tuple(prefix + response), tuple([IGNORED] * len(prefix) + response), row.id, row.source
        )

    def examples(self, rows: Iterable[Row], max_length: int) -> Iterator[Example | Dropped]:
        """Yield an example per row, or a `Dropped` for one that cannot be trained on.

        Nothing is ever cut: a truncated answer would teach the model to stop early. A row that
        holds a control token as text would end its own turn, or begin another's.
        """
        for row in rows:
            if control := self.control_token(row):
                yield Dropped(row.id, "format", f"holds the control token {control}")
                continue
            example = self.example(row)
            if len(example.token_ids) > max_length:
                yield Dropped(row.id, "format", f"{len(example.token_ids)} tokens, over {max_length}")
            else:
                yield example

    def control_token(self, row: Row) -> str | None:
        """Return a control token that the row holds as text, if it holds one."""
        return next((t for t in self._control if t in row.instruction or t in row.response), None)

    def check_parity(self, request: str, response: str) -> int:
        """Check that training and evaluation share one prefix; return its number of tokens.

        The template's rendering of the whole conversation must begin with the evaluation prefix
        and go on with the response and the end of turn. Raises `InputError` where it doesn't.
        """
        prefix = self.prefix(request)
        example = self.example(Row("parity", "", request, response))
        whole = self._render(
            [{"role": "user", "content": request}, {"role": "assistant", "content": self.answer(response)}],
            False,
        )
        ids = self._encode(whole)
        trained = list(example.token_ids)
        if trained[: len(prefix)] != prefix or ids[: len(trained)] != trained:
            raise InputError(
                "the chat template renders a conversation otherwise than a prompt, so training and"
                " evaluation would see different tokens",
                where="chat template",
                todo="use the template that the model was trained with",
            )
        return len(prefix)

    def check_rows(self, rows: Iterable[Row]) -> int:
        """Check parity on rows; return how many were checked. Raises `InputError` that names the row.

        Rows with a control token are passed over: `examples` drops them.
        """
        checked = 0
        for row in rows:
            if self.control_token(row):
                continue
            try:
                self.check_parity(row.instruction, row.response)
            except InputError as e:
                todo = f"{e.todo}; or keep the step 'normalise', which takes white space off answers"
                raise InputError(e.what, where=f"row {row.id}", todo=todo) from e
            checked += 1
        return checked

    def pieces(self, example: Example) -> list[Piece]:
        """Return an example as text, split where the mask changes."""
        mask = [label != IGNORED for label in example.labels]
        starts = [i for i in range(len(mask)) if i == 0 or mask[i] != mask[i - 1]]
        bounds = zip(starts, [*starts[1:], len(mask)], strict=True)
        decode = self._tokenizer.decode
        return [Piece(decode(example.token_ids[a:b], skip_special_tokens=False), mask[a]) for a, b in bounds]

    def spans(self, example: Example) -> list[Span]:
        """Return an example token by token, each with the text it adds and its mask.

        Tokens that are only part of a character are shown together with those that complete it, so
        a span holds up to four token ids; it never crosses the edge of the mask.
        """
        special, mask = set(self._tokenizer.all_special_ids), [label != IGNORED for label in example.labels]
        out: list[Span] = []
        start = 0
        for i, token in enumerate(example.token_ids):
            end = i + 1
            text = self._added(example.token_ids, start, end)
            whole = not text.endswith(_INCOMPLETE) or end - start == _CHARACTER_TOKENS
            if whole or end == len(mask) or mask[end] != mask[i] or example.token_ids[end] in special:
                out.append(Span(text, example.token_ids[start:end], mask[start], token in special))
                start = end
        return out

    def _added(self, ids: tuple[int, ...], start: int, end: int) -> str:
        """Return what the tokens from `start` to `end` add to the text before them.

        Decoded behind a few tokens of context, as some tokenizers drop the space of a first token.
        """
        context = ids[max(0, start - _CONTEXT_TOKENS) : start]
        before = self._tokenizer.decode(context, skip_special_tokens=False)
        whole = self._tokenizer.decode(context + ids[start:end], skip_special_tokens=False)
        return str(whole[len(before) :])
