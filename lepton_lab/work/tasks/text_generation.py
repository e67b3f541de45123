"""Answers to chats and prompts, or plain text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...data.need import ColumnNeed
from ...errors import DataError, Problem
from .task import Features, ModelSpec, Task

if TYPE_CHECKING:
    import datasets
    import pyarrow as pa

    from ...recipe import Recipe
    from ..data.chats import Chat, Rendered
    from ..data.collator import PaddedBatch

_IGNORED = -100
_MOST_LOSS = 50.0

_MESSAGES = ("messages", "conversations", "conversation", "chat", "dialog", "dialogue")
_PROMPT = ("prompt", "question", "instruction", "input", "query", "context")
_COMPLETION = ("completion", "answer", "response", "output", "reply", "target")
_TEXT = ("text", "content", "document", "body")


class TextGeneration(Task):
    """Causal language models: chat and prompt/completion fine-tuning, and plain text.

    Chats go through the model's own template. With ``completion_only_loss`` only answers are learnt
    and scored. Rows of which the cut leaves no answer are left out.
    """

    name = "text-generation"
    title = "Text generation"
    needs = (
        (ColumnNeed("messages", "messages", "messages_column", _MESSAGES),),
        (
            ColumnNeed("prompt", "prompt", "prompt_column", _PROMPT),
            ColumnNeed("completion", "completion", "completion_column", _COMPLETION),
        ),
        (ColumnNeed("text", "text", "text_column", _TEXT),),
    )
    auto_class = "AutoModelForCausalLM"
    main_metric = "loss"
    greater_is_better = False
    default_batch_size = 4
    generates = True

    def metric_names(self, problem_type: str | None = None) -> tuple[str, ...]:
        del problem_type
        return ("loss", "perplexity")

    def check_model(self, config: Mapping[str, Any]) -> list[Problem]:
        from ..models.source import check_ability

        return check_ability(dict(config), self)

    def options(self, recipe: Recipe, tokenizer: Any) -> dict[str, Any]:
        return {
            "completion_only_loss": recipe.train.completion_only_loss,
            "packing": recipe.train.packing,
            "chat_template": bool(tokenizer.chat_template),
        }

    def encode(self, table: pa.Table, tokenizer: Any, spec: ModelSpec) -> datasets.Dataset:
        from ..data.encoding import dataset_of

        end = tokenizer.eos_token or ""
        if "text" in table.column_names:
            from ..data.chats import Rendered

            texts = [text + end for text in table["text"].to_pylist()]
            rendered = [Rendered(text, [(0, len(text))]) for text in texts]
            return dataset_of(self._encode_rendered(rendered, tokenizer, spec, special_tokens=True))
        rendered = self._render(_chats(table), tokenizer, spec)
        special = not spec.options.get("chat_template")
        return dataset_of(self._encode_rendered(rendered, tokenizer, spec, special_tokens=special))

    def _render(self, chats: list[Chat], tokenizer: Any, spec: ModelSpec) -> list[Rendered]:
        from ..data.chats import Rendered, apply_template, render_chats, render_plain

        if not spec.options.get("chat_template"):
            return render_plain(chats, tokenizer.eos_token or "")
        if spec.options.get("completion_only_loss", True):
            return render_chats(chats, tokenizer)
        return [Rendered(text, []) for text in apply_template(tokenizer, chats, answer_next=False)]

    def _encode_rendered(
        self, rendered: list[Rendered], tokenizer: Any, spec: ModelSpec, special_tokens: bool
    ) -> dict[str, list[Any]]:
        """Tokens and labels; a token is learnt if it lies whole in an answer."""
        only_answers = spec.options.get("completion_only_loss", True)
        columns: dict[str, list[Any]] = {
            name: [] for name in ("input_ids", "attention_mask", "labels", "length", "whole_length")
        }
        encoded = tokenizer(
            [each.text for each in rendered],
            add_special_tokens=special_tokens,
            return_offsets_mapping=True,
            return_attention_mask=False,
            verbose=False,
        )
        for each, ids, offsets in zip(rendered, encoded["input_ids"], encoded["offset_mapping"], strict=True):
            kept = ids[: spec.max_length]
            labels = list(kept) if not only_answers else _mask(kept, offsets, each.answers)
            # The first token is never predicted, so it does not count.
            if all(label == _IGNORED for label in labels[1:]):
                continue
            columns["input_ids"].append(kept)
            columns["attention_mask"].append([1] * len(kept))
            columns["labels"].append(labels)
            columns["length"].append(len(kept))
            columns["whole_length"].append(len(ids))
        return columns

    def train_rows(self, rows: datasets.Dataset, model: Any, collator: Any, spec: ModelSpec) -> Any:
        if not spec.options.get("packing"):
            return rows
        from ..data.packing import check_packing, pack

        check_packing(model)
        return pack(rows, spec.max_length)

    def collator(self, tokenizer: Any, spec: ModelSpec) -> PaddedBatch:
        from ..data.collator import PaddedBatch

        return PaddedBatch.of(tokenizer, label_kind="tokens")

    def reduce(self, logits: Any, labels: Any) -> Any:
        """Each token's loss, so that no vocabulary of scores is kept: ``[rows, tokens]``, 0 where none is due."""
        import torch

        losses = torch.nn.functional.cross_entropy(
            logits[:, :-1].float().transpose(1, 2), labels[:, 1:], reduction="none", ignore_index=_IGNORED
        )
        return torch.nn.functional.pad(losses, (1, 0))

    def metrics(self, logits: Sequence[Any], labels: Sequence[Any], spec: ModelSpec) -> dict[str, float]:
        """Mean loss a learnt token (not a row) in nats, and its perplexity. Rows hold logits or token losses."""
        import numpy as np

        total, count = 0.0, 0
        for row, answer in zip(logits, labels, strict=True):
            losses = _token_losses(np.asarray(row), np.asarray(answer))
            total += float(losses.sum())
            count += len(losses)
        loss = total / max(count, 1)
        return {"loss": loss, "perplexity": math.exp(min(loss, _MOST_LOSS)), "tokens": float(count)}

    def encode_inputs(self, inputs: Sequence[Any], tokenizer: Any, spec: ModelSpec) -> tuple[list[Features], list[Any]]:
        """Prompts up to where the answer begins; the newest ``max_length`` tokens of each."""
        from ..data.chats import apply_template, prompt_plain

        if "text" in spec.mapping and "completion" not in spec.mapping:
            texts = [_plain_text(each) for each in inputs]
            special = True
        else:
            chats = [_read_chat(each) for each in inputs]
            special = not spec.options.get("chat_template")
            texts = (
                [prompt_plain(chat) for chat in chats]
                if special
                else apply_template(tokenizer, chats, answer_next=True)
            )
        encoded = tokenizer(texts, add_special_tokens=special, return_attention_mask=False, verbose=False)
        features = [
            {"input_ids": ids[-spec.max_length :], "attention_mask": [1] * len(ids[-spec.max_length :])}
            for ids in encoded["input_ids"]
        ]
        return features, [{"prompt": text} for text in texts]

    def decode(self, logits: Sequence[Any], rows: Sequence[Any], spec: ModelSpec) -> list[dict[str, Any]]:
        """``logits`` are the generated texts: choosing tokens is the predictor's."""
        return [{"text": str(text)} for text in logits]

    def example(self, row: Features, tokenizer: Any, spec: ModelSpec) -> dict[str, Any]:
        """The text in pieces, each with whether it is learnt."""
        segments: list[dict[str, Any]] = []
        ids: list[int] = []
        learnt: bool | None = None
        for token, label in zip([*row["input_ids"], None], [*row["labels"], None], strict=True):
            now = None if label is None else label != _IGNORED
            if now != learnt and ids:
                segments.append({"text": tokenizer.decode(ids), "learnt": bool(learnt)})
                ids = []
            learnt = now
            if token is not None:
                ids.append(token)
        return {
            "text": tokenizer.decode(row["input_ids"]),
            "tokens": len(row["input_ids"]),
            "learnt_tokens": sum(label != _IGNORED for label in row["labels"]),
            "segments": segments,
        }


def _chats(table: pa.Table) -> list[Chat]:
    from ..data.chats import as_chat

    if "messages" in table.column_names:
        rows: list[Chat] = table["messages"].to_pylist()
        return rows
    pairs = zip(table["prompt"].to_pylist(), table["completion"].to_pylist(), strict=True)
    return [as_chat(prompt, completion) for prompt, completion in pairs]


def _mask(ids: list[int], offsets: Sequence[tuple[int, int]], answers: list[tuple[int, int]]) -> list[int]:
    labels = [_IGNORED] * len(ids)
    for begin, finish in answers:
        for place, token in enumerate(ids):
            start, end = offsets[place]
            if begin <= start and end <= finish and end > start:
                labels[place] = token
    return labels


def _token_losses(row: Any, answer: Any) -> Any:
    """Losses of the learnt tokens of one row, from logits ``[tokens, vocabulary]`` or losses ``[tokens]``."""
    import numpy as np

    kept = np.flatnonzero(answer[1:] != _IGNORED) + 1
    if row.ndim == 1:
        return row[kept].astype(np.float64)
    scores = row[kept - 1].astype(np.float64)
    top = scores.max(-1)
    total = np.log(np.exp(scores - top[:, None]).sum(-1)) + top
    return total - scores[np.arange(len(kept)), answer[kept]]


def _read_chat(given: Any) -> Chat:
    from ..data.chats import as_chat

    if isinstance(given, Mapping):
        given = given.get("messages") or given.get("prompt") or given.get("text")
    if isinstance(given, str):
        return as_chat(given)
    if isinstance(given, (list, tuple)) and given and all(isinstance(each, Mapping) for each in given):
        chat = [{"role": str(each.get("role")), "content": str(each.get("content"))} for each in given]
        return chat[:-1] if chat[-1]["role"] == "assistant" else chat
    do = "Give a prompt, or a list of messages with role and content."
    raise DataError(Problem("an input is a prompt or a chat", type(given).__name__, do))


def _plain_text(given: Any) -> str:
    if isinstance(given, Mapping):
        given = given.get("text") or given.get("prompt")
    if not isinstance(given, str):
        raise DataError(Problem("an input is a text", type(given).__name__, "Give the beginning of a text."))
    return given
