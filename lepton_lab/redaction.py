"""Takes tokens and passwords out of texts before they are written, logged or shown. Standard library only.

Two ways to know a secret: by its shape (a Hugging Face token, a password in a URL, a private key), and by
its value, when an environment variable with a telling name (``HF_TOKEN``, ``AWS_SECRET_ACCESS_KEY``) holds it.
"""

from __future__ import annotations

import io
import os
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TextIO
from urllib.parse import quote, unquote

HIDDEN = "[hidden]"

_WORDS = frozenset({"TOKEN", "SECRET", "SECRETS", "PASSWORD", "PASSWD", "PASSPHRASE", "APIKEY", "SAS"})
_PHRASES = ("API_KEY", "ACCESS_KEY", "ACCOUNT_KEY", "STORAGE_KEY", "PRIVATE_KEY", "CONNECTION_STRING", "CREDENTIAL")
_SAY_WHERE = ("_FILE", "_PATH", "_DIR", "_FILENAME", "GOOGLE_APPLICATION_CREDENTIALS", "AWS_ACCESS_KEY_ID")
_SHORTEST = 8  # a shorter value stands in texts by chance

# Who is alone before the @ of these is a token; ssh://USER@HOST and abfs://CONTAINER@ACCOUNT hold no secret.
_TOKEN_SCHEMES = r"(?<![a-z])(?:https?|wss?|ftps?|tcp|tls|ucx|s3a?|gs|gcs|databricks)"

_SHAPES = {
    what: re.compile(shape)
    for what, shape in {
        "a password in a URL": r"(?<=://)[^\s/@:'\"]*:[^\s/@'\"]+(?=@)",
        "a token in a URL": rf"(?i)(?P<kept>{_TOKEN_SCHEMES}://)[^\s/@:'\"]+(?=@)",
        "a key in a URL": r"(?i)(?<=[?&])(?P<kept>(?:sig|signature|token|access_token|api_key|apikey|password"
        r"|x-amz-(?:signature|credential|security-token))=)[^\s&'\"]+",
        "a Hugging Face token": r"\bhf_[A-Za-z0-9]{20,}",
        "a GitHub token": r"\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,})",
        "an API key": r"\bsk-[A-Za-z0-9_-]{20,}",
        "an AWS key": r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
        "a token": r"(?i)(?<=bearer )[A-Za-z0-9._~+/=-]{12,}",
        "a signed token": r"\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}",
        "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    }.items()
}
_IN_URL = (
    re.compile(rf"://[^\s/@:]*:([^\s/@]{{{_SHORTEST},}})@"),
    re.compile(rf"(?i){_TOKEN_SCHEMES}://([^\s/@:]{{16,}})@"),  # a shorter one may be a name, which texts hold
)

_remembered: set[str] = set()
_seen: int | None = None
_values: re.Pattern[str] | None = None


def is_secret_name(name: str) -> bool:
    """Whether a variable or option called ``name`` holds a secret itself."""
    upper = name.upper().replace("-", "_")
    if upper.endswith(_SAY_WHERE):
        return False
    return not _WORDS.isdisjoint(upper.split("_")) or any(phrase in upper for phrase in _PHRASES)


def secrets_of(environment: Mapping[str, str]) -> set[str]:
    """The values in ``environment`` that must not be seen."""
    found = set()
    for name, value in environment.items():
        if is_secret_name(name) and len(value.strip()) >= _SHORTEST:
            found.add(value.strip())
        found.update(each for shape in _IN_URL for each in shape.findall(value))
    return found


def remember_secrets(environment: Mapping[str, str]) -> None:
    """Hide the secrets of ``environment`` too, from now on: a supervisor knows its run's, without having them set."""
    global _seen
    _remembered.update(secrets_of(environment))
    _seen = None


def redact(text: str) -> str:
    """``text`` with every known secret replaced by :data:`HIDDEN`."""
    return redactor()(text)


def redactor() -> Callable[[str], str]:
    """:func:`redact` for many texts: the environment is looked at once, and only if there is a text."""
    values: list[re.Pattern[str] | None] = []

    def hide(text: str) -> str:
        if not values:
            values.append(_known_values())
        if values[0] is not None:
            text = values[0].sub(HIDDEN, text)
        for shape in _SHAPES.values():
            text = shape.sub(_hide, text)
        return text

    return hide


def _hide(found: re.Match[str]) -> str:
    return str(found.groupdict().get("kept") or "") + HIDDEN


def find_secret(text: str) -> str:
    """What kind of secret ``text`` holds, as in ``a password in a URL``; empty if none is known."""
    for what, shape in _SHAPES.items():
        if shape.search(text):
            return what
    values = _known_values()
    return "the value of a secret environment variable" if values is not None and values.search(text) else ""


def _known_values() -> re.Pattern[str] | None:
    """Matches every secret that is known now. Looking whether the environment changed is quick; reading it is not."""
    global _seen, _values
    now = hash(tuple(os.environb.values()))
    if now != _seen:
        spellings = _spellings(secrets_of(os.environ) | _remembered)
        longest_first = sorted(spellings, key=len, reverse=True)
        _values = re.compile("|".join(map(re.escape, longest_first))) if spellings else None
        _seen = now
    return _values


class RedactingStream(io.TextIOBase):
    """A stream that passes whole lines on, redacted: what a process prints goes to a log on disk."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._line = ""
        self._lock = threading.RLock()

    def write(self, text: str) -> int:
        """Keep what is not yet a line, in case a secret is being written in parts."""
        with self._lock:
            whole, newline, self._line = (self._line + text).rpartition("\n")
            if newline:
                self._stream.write(redact(whole) + newline)
        return len(text)

    def flush(self) -> None:
        """Pass everything on."""
        with self._lock:
            if self._line:
                self._stream.write(redact(self._line))
                self._line = ""
            self._stream.flush()

    def fileno(self) -> int:
        """Of the stream below."""
        return self._stream.fileno()

    def isatty(self) -> bool:
        """As the stream below."""
        return self._stream.isatty()

    def writable(self) -> bool:
        """Yes."""
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Of the stream below."""
        return self._stream.encoding

    @property
    def buffer(self) -> Any:
        """The bytes below: who writes there is not overheard."""
        return self._stream.buffer


def _spellings(secrets: Iterable[str]) -> set[str]:
    """Each as it is, as URLs write it, and as Python's repr or JSON shows it."""
    found = set()
    for each in secrets:
        found |= {each, quote(each, safe=""), quote(each), unquote(each), repr(each)[1:-1]}
        found.add(each.encode("unicode_escape").decode())
    return {each for each in found if len(each) >= _SHORTEST}
