"""What an OpenAI-compatible endpoint answered, read with distrust."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from codefit.core.files import parse_json

_REASONS = {
    "stop": "stop", "eos": "stop", "eos_token": "stop", "stop_sequence": "stop", "end_turn": "stop",
    "length": "length", "max_tokens": "length", "content_filter": "content_filter",
    "tool_calls": "tool_calls", "function_call": "tool_calls",
}  # fmt: skip
_DIGITS = 6
_SHOWN = 200


class Unusable(Exception):
    """An answer that is no completion."""


@dataclass(frozen=True, slots=True)
class Said:
    """One completion. `model` is the name that the endpoint gives itself; None: it doesn't say."""

    text: str
    tokens: int | None
    mean_logprob: float | None
    min_logprob: float | None
    finish_reason: str
    model: str | None


def read_completion(body: bytes, api: str) -> Said:
    """Return the completion of an answer's body; raises `Unusable` with the reason."""
    reply = _object(body)
    choices = reply.get("choices")
    if not isinstance(choices, list):
        raise Unusable(f"an answer without choices: {_told(reply)}")
    if not choices or not isinstance(choices[0], dict):
        raise Unusable("an answer with no choice in it")
    choice = choices[0]
    raw = choice.get("finish_reason")
    reason = _REASONS.get(str(raw).lower(), str(raw)[:40]) if raw else "unknown"
    text = _chat_text(choice) if api == "chat" else choice.get("text")
    if text is None and reason in ("length", "content_filter", "tool_calls"):
        text = ""  # all of it was reasoning, or was withheld: that is the model's answer
    if not isinstance(text, str):
        raise Unusable(
            "an answer whose content is null" if text is None else "an answer whose content is no text"
        )
    values = _logprobs(choice.get("logprobs"))
    model = reply.get("model")
    return Said(
        text, _tokens(reply, values), _rounded(sum(values) / len(values)) if values else None,
        _rounded(min(values)) if values else None, reason, model if isinstance(model, str) else None,
    )  # fmt: skip


def read_models(body: bytes) -> list[str]:
    """Return the names of the models that an endpoint has; raises `Unusable`."""
    data = _object(body).get("data")
    if not isinstance(data, list):
        raise Unusable("a list of models without data")
    return [m["id"] for m in data if isinstance(m, dict) and isinstance(m.get("id"), str)]


def told(body: bytes) -> str:
    """Return what an error's body says, as part of one line."""
    try:
        return _told(_object(body))
    except Unusable:
        return _short(body.decode("utf-8", "replace"))


def error_code(body: bytes) -> str:
    """Return the code or type in an error's body, in lower case; empty where there is none."""
    try:
        error = _object(body).get("error")
    except Unusable:
        return ""
    if not isinstance(error, dict):
        return ""
    return f"{error.get('code')} {error.get('type')}".lower()


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = parse_json(body.decode("utf-8"))
    except UnicodeDecodeError as e:
        raise Unusable(f"an answer that is not UTF-8 (byte {e.start})") from e
    except (ValueError, RecursionError) as e:
        raise Unusable(
            f"an answer that is not JSON: {_short(body[:1000].decode('utf-8', 'replace'))!r}"
        ) from e
    if not isinstance(value, dict):
        raise Unusable(f"an answer that is no JSON object but {type(value).__name__}")
    return value


def _told(reply: dict[str, Any]) -> str:
    error = reply.get("error", reply)
    for name in ("message", "detail", "error"):
        if isinstance(error, dict) and isinstance(error.get(name), str):
            return _short(error[name])
    return _short(error if isinstance(error, str) else json.dumps(error, ensure_ascii=False, default=str))


def _short(text: str) -> str:
    shown = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"


def _chat_text(choice: dict[str, Any]) -> Any:
    """Return a message's text; a refusal is an answer in other words; parts are joined."""
    message = choice.get("message")
    if not isinstance(message, dict):
        raise Unusable("an answer without a message")
    content = message.get("content")
    if isinstance(content, list):
        texts = [p.get("text") for p in content if isinstance(p, dict) and p.get("type", "text") == "text"]
        return "".join(t for t in texts if isinstance(t, str)) if texts else None
    return message.get("refusal") if content is None else content


def _logprobs(found: Any) -> list[float]:
    """Return the chosen tokens' log-probabilities, empty where they are missing or make no sense."""
    if not isinstance(found, dict):
        return []
    content = found.get("content")
    if isinstance(content, list):
        values = [e.get("logprob") if isinstance(e, dict) else None for e in content]
    else:
        values = found.get("token_logprobs") or []
    if not isinstance(values, list) or not all(_is_logprob(v) for v in values):
        return []
    return [float(v) for v in values]


def _is_logprob(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value) and value <= 1e-3


def _rounded(value: float) -> float:
    return round(value, _DIGITS)


def _tokens(reply: dict[str, Any], logprobs: list[float]) -> int | None:
    usage = reply.get("usage")
    count = usage.get("completion_tokens") if isinstance(usage, dict) else None
    if isinstance(count, int) and not isinstance(count, bool) and count >= 0:
        return count
    return len(logprobs) or None
