"""Messages in two languages: catalogues are data files, a message is an id with arguments.

A message is plain data, `{"msg": id, "args": {…}}`, so that it can stand in report.json.
Arguments may be numbers, texts, `{"code": text}`, other messages, or lists of these.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from markupsafe import escape

LANGUAGES = ("en", "zh")
HTML_LANG = {"en": "en", "zh": "zh-CN"}
_FOLDER = Path(__file__).parent / "messages"
_CODE = re.compile(r"`([^`]+)`")
Message = dict[str, Any]


def msg(key: str, /, **args: Any) -> Message:
    """Return a message as plain data."""
    return {"msg": key, "args": args}


def code(text: object) -> dict[str, str]:
    """Return an argument that is shown as code."""
    return {"code": str(text)}


@cache
def catalogue(lang: str) -> Mapping[str, str]:
    """Return one language's messages, flattened to dotted keys."""
    tree = yaml.safe_load((_FOLDER / f"{lang}.yaml").read_text(encoding="utf-8"))
    flat: dict[str, str] = {}
    _flatten(tree, "", flat)
    return flat


def _flatten(node: Mapping[str, Any], prefix: str, into: dict[str, str]) -> None:
    for key, value in node.items():
        if isinstance(value, dict):
            _flatten(value, f"{prefix}{key}.", into)
        else:
            into[f"{prefix}{key}"] = str(value)


def known(key: str) -> bool:
    """Return whether the catalogues have a message."""
    return key in catalogue(LANGUAGES[0])


def keys_of(group: str) -> list[str]:
    """Return the keys of a group of messages."""
    return [key for key in catalogue(LANGUAGES[0]) if key.startswith(f"{group}.")]


def term(group: str, name: object) -> Any:
    """Return the message `group.name` where the catalogues have it, else the name as code."""
    key = f"{group}.{name}"
    return msg(key) if known(key) else code(name)


def words(*keys: str) -> dict[str, Message]:
    """Return messages by the last part of their key, as a drawing names its texts."""
    return {key.rpartition(".")[2]: msg(key) for key in keys}


class Language:
    """Renders messages of one language into one kind of text.

    `quote` escapes untrusted text for that kind, `as_code` wraps it as code, `literal` fits the
    catalogue's own words (trusted, but `&` and `<` mean something in HTML).
    """

    def __init__(
        self,
        lang: str,
        quote: Callable[[str], str],
        as_code: Callable[[str], str],
        literal: Callable[[str], str],
    ) -> None:
        self.lang = lang
        self._texts = catalogue(lang)
        self._quote, self._as_code, self._literal = quote, as_code, literal

    def render(self, value: Any) -> str:
        """Return a message, code, number, text or list of these as text."""
        if value is None:
            return self._literal(self._texts["none"])
        if isinstance(value, bool):
            return self._literal(self._texts["yes" if value else "no"])
        if isinstance(value, int):
            return f"{value:,}"
        if isinstance(value, float):
            return f"{value:,.4g}"
        if isinstance(value, list | tuple):
            return self._texts["list_separator"].join(self.render(v) for v in value)
        if isinstance(value, Mapping):
            return self._as_code(value["code"]) if "code" in value else self._message(value)
        return self._quote(str(value))

    def _message(self, value: Mapping[str, Any]) -> str:
        args = {k: self.render(v) for k, v in value.get("args", {}).items()}
        return self._template(self._texts[value["msg"]]).format(**args)

    def _template(self, text: str) -> str:
        parts = _CODE.split(text)
        return "".join((self._as_code if i % 2 else self._literal)(part) for i, part in enumerate(parts))


def plain(lang: str) -> Language:
    """Return the renderer into plain text (report.json)."""
    return Language(lang, str, str, str)


def html(lang: str) -> Language:
    """Return the renderer into safe HTML."""
    safe = lambda text: str(escape(text))  # noqa: E731
    return Language(lang, safe, lambda text: f"<code>{escape(text)}</code>", safe)
