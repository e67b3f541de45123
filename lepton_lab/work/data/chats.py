"""Chats and prompts as text, with the parts that are answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import DataError, Problem

Chat = list[dict[str, str]]


@dataclass
class Rendered:
    """The text that the model sees, and the character spans in it that it should have said."""

    text: str
    answers: list[tuple[int, int]]


def as_chat(prompt: str, completion: str | None = None) -> Chat:
    """A prompt and its answer as a chat of one turn."""
    chat = [{"role": "user", "content": prompt}]
    return chat if completion is None else [*chat, {"role": "assistant", "content": completion}]


def render_chats(chats: Sequence[Chat], tokenizer: Any) -> list[Rendered]:
    """Chats through the model's own template. Raises :class:`DataError` for what it refuses.

    An answer is what the template adds for an assistant message behind the prompt that generation
    starts from, so the end-of-turn token is part of it.
    """
    wholes = apply_template(tokenizer, chats, answer_next=False)
    turns = [
        (row, place)
        for row, chat in enumerate(chats)
        for place, message in enumerate(chat)
        if message["role"] == "assistant"
    ]
    heads = apply_template(tokenizer, [chats[row][:place] for row, place in turns], answer_next=True)
    inner = [(row, place) for row, place in turns if place + 1 < len(chats[row])]
    tails = dict(
        zip(
            inner,
            apply_template(tokenizer, [chats[row][: place + 1] for row, place in inner], answer_next=False),
            strict=True,
        )
    )
    rendered = [Rendered(text, []) for text in wholes]
    for (row, place), head in zip(turns, heads, strict=True):
        tail = tails.get((row, place), wholes[row]).rstrip()
        whole = rendered[row]
        is_last = (row, place) not in tails
        if whole.text.startswith(head) and whole.text.startswith(tail):
            whole.answers.append((len(head), len(tail)))
        elif is_last:
            do = "Set --no-completion-only-loss to learn the whole text."
            what = (
                "the model's chat template changes the question once the answer is there, so they cannot be told apart"
            )
            raise DataError(Problem(what, f"row {row + 1}", do, "train.completion_only_loss"))
    return rendered


def apply_template(tokenizer: Any, chats: Sequence[Chat], answer_next: bool) -> list[str]:
    """Chats as text; with ``answer_next`` up to where an answer begins."""
    if not chats:
        return []
    from jinja2 import TemplateError

    try:
        texts: list[str] = tokenizer.apply_chat_template(list(chats), tokenize=False, add_generation_prompt=answer_next)
    except TemplateError as error:
        do = "Change the messages' roles, or drop the system message."
        raise DataError(Problem("the model's chat template refuses a chat", str(error), do)) from None
    return texts


def render_plain(chats: Sequence[Chat], end: str) -> list[Rendered]:
    """Chats for a model without a template: one message a line, ``end`` (a token) behind each answer."""
    rendered = []
    for chat in chats:
        text, answers = "", []
        single = len(chat) == 2
        for message in chat:
            said = message["content"]
            text += "" if single else f"{message['role']}: "
            if message["role"] == "assistant":
                answers.append((len(text), len(text) + len(said) + len(end)))
                said += end
            text += said + "\n"
        rendered.append(Rendered(text.rstrip("\n"), answers))
    return rendered


def prompt_plain(chat: Chat) -> str:
    """Where an answer to ``chat`` begins, for a model without a template."""
    if len(chat) == 1:
        return chat[0]["content"] + "\n"
    return "".join(f"{message['role']}: {message['content']}\n" for message in chat) + "assistant: "
