"""Tab in ``%lepton`` and ``%%lepton``, through IPython's matcher interface (version 2)."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .commands.completion import complete, complete_key, complete_yaml_value
from .commands.values import Candidate
from .recipe import SECTIONS_BY_KIND

# `%lepton …`, `%%lepton …`, `answer = %lepton …`
_MAGIC = re.compile(r"^\s*(?:[\w.,\s\[\]'\"]+=\s*)?%{1,2}lepton\s")
_KEY_VALUE = re.compile(r"^(\s*)([\w-]+):\s+(.*)$")


@dataclass(frozen=True)
class Offer:
    """What Tab offers: ``texts`` replace ``fragment``, the text just before the cursor."""

    fragment: str
    texts: tuple[str, ...]


class Completer:
    """Completion for one IPython."""

    identifier = "lepton_lab"

    def __init__(self, ip: Any) -> None:
        self._ip = ip

    def matcher(self) -> Callable[[Any], Any]:
        """The matcher to put into ``ip.Completer.custom_matchers``."""
        from IPython.core.completer import SimpleCompletion, context_matcher

        def lepton_matcher(context: Any) -> dict[str, Any]:
            offer = self.offer(context.full_text, context.cursor_line, context.cursor_position)
            if offer is None:
                return {"completions": [], "suppress": False}
            # Only a matcher that finds something is taken at its word that others be silent; IPython's own
            # would offer Python words and other magics. So where nothing fits, what is typed stays.
            texts = offer.texts or (offer.fragment,)
            completions = [SimpleCompletion(text=text, type="lepton") for text in texts]
            return {"completions": completions, "matched_fragment": offer.fragment, "suppress": True, "ordered": True}

        matcher: Callable[[Any], Any] = context_matcher(identifier=self.identifier, priority=200)(lepton_matcher)
        return matcher

    def offer(self, text: str, cursor_line: int, cursor_position: int) -> Offer | None:
        """What Tab offers at this place of a cell; None where the cell is not ours."""
        lines = text.split("\n")
        before = lines[cursor_line][:cursor_position]
        first = next((index for index, line in enumerate(lines) if line.strip()), 0)
        if cursor_line > first and lines[first].lstrip().startswith("%%lepton"):
            return self._in_body(lines[first], lines[first + 1 : cursor_line], before)
        # A line that ends in a backslash goes on.
        while cursor_line and lines[cursor_line - 1].endswith("\\"):
            cursor_line -= 1
            before = lines[cursor_line][:-1] + " " + before
        found = _MAGIC.match(before)
        if found is None:
            return None
        words, fragment = split_at_cursor(before[found.end() :])
        quote = fragment[:1] if fragment[:1] in ("'", '"') else ""
        candidates = complete(words, fragment.removeprefix(quote), self._ip.user_ns)
        return Offer(fragment, tuple(_quoted(each, quote) for each in candidates))

    def _in_body(self, magic: str, above: Sequence[str], before: str) -> Offer:
        words = magic.split()
        kind = words[1] if len(words) > 1 and words[1] in SECTIONS_BY_KIND else "train"
        indent = len(before) - len(before.lstrip())
        section = ""
        if indent:
            outer = [line for line in above if line.strip() and not line[0].isspace()]
            section = outer[-1].partition(":")[0].strip() if outer else ""
        found = _KEY_VALUE.match(before)
        if found is None:
            key = before.lstrip()
            return Offer(key, tuple(each.value for each in complete_key(kind, key, section)))
        name, value = found.group(2), found.group(3)
        path = f"{section}.{name}" if section else name
        return Offer(value, tuple(each.value for each in complete_yaml_value(kind, path, value, self._ip.user_ns)))


def split_at_cursor(text: str) -> tuple[list[str], str]:
    """(whole words, the raw beginning of the word at the cursor) of what stands before the cursor."""
    start, quote = 0, ""
    for index, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter.isspace():
            start = index + 1
    lexer = shlex.shlex(text[:start], posix=True)
    lexer.whitespace_split, lexer.commenters, lexer.escape = True, "", ""
    return list(lexer), text[start:]


def _quoted(candidate: Candidate, quote: str) -> str:
    """The candidate as one shell word; a quotation that was begun goes on."""
    text = candidate.value
    if not quote and not any(letter.isspace() or letter in "'\"" for letter in text):
        return text
    quote = quote or ("'" if "'" not in text else '"')
    return f"{quote}{text}{quote if candidate.is_whole else ''}"
