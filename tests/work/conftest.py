"""Small real models: the architectures and tokenizers of large ones, with few weights, made on the spot."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lepton_lab.recipe import Recipe, build_recipe
from lepton_lab.record import RunFolder
from lepton_lab.work.context import WorkContext

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
GOOD = ("great", "lovely", "superb", "moving", "brilliant", "warm")
BAD = ("dull", "awful", "weak", "boring", "flat", "noisy")
NOUNS = ("film", "script", "cast", "ending", "score", "picture", "plot")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own for each test."""
    monkeypatch.setenv("LEPTON_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def corpus() -> list[str]:
    """Texts that hold every word the tests use."""
    words = [*GOOD, *BAD, *NOUNS, "the", "was", "and", "What", "is", "plus", "answer", "Oak", "Street", "Chicago", "St"]
    chooser = random.Random(0)
    return [" ".join(chooser.choices(words, k=12)) for _ in range(400)] + [str(number) for number in range(200)]


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """BERT with 2 layers of width 32 and a WordPiece tokenizer."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("models") / "bert"
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(
        corpus(), trainers.WordPieceTrainer(vocab_size=200, special_tokens=special, show_progress=False)
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(word, tokenizer.token_to_id(word)) for word in ("[CLS]", "[SEP]")],
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=64,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(fast),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    BertForMaskedLM(config).save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Llama with 2 layers of width 32, a byte-level tokenizer and a ChatML template."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("models") / "llama"
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=500,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus(), trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>", model_max_length=256
    )
    fast.chat_template = CHATML
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(fast),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        intermediate_size=64,
        max_position_embeddings=256,
        bos_token_id=None,
        eos_token_id=fast.eos_token_id,
        pad_token_id=fast.pad_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


@pytest.fixture
def reviews(tmp_path: Path) -> str:
    """200 texts with a label that one word decides."""
    chooser = random.Random(1)
    rows = []
    for _ in range(200):
        good = chooser.random() < 0.5
        word = chooser.choice(GOOD if good else BAD)
        rest = " ".join(chooser.choices(NOUNS, k=chooser.randint(1, 8)))
        text = f"the {chooser.choice(NOUNS)} was {word} and {rest}"
        rows.append(
            {
                "text": text,
                "label": "positive" if good else "negative",
                "marks": ["good"] * good + ["long"] * (len(text) > 40),
                "score": (0.9 if good else 0.1) + chooser.random() / 10,
            }
        )
    return write_rows(tmp_path / "reviews.jsonl", rows)


@pytest.fixture
def addresses(tmp_path: Path) -> str:
    """120 rows of words and tags."""
    chooser = random.Random(2)
    rows = []
    for _ in range(120):
        streets = chooser.sample(["Oak", "Maple", "Elm", "Kensington"], chooser.randint(1, 2))
        tokens = [str(chooser.randint(1, 199)), *streets, "St", "Chicago,"]
        rows.append({"tokens": tokens, "tags": ["Number", *["Street"] * len(streets), "Type", "City"]})
    return write_rows(tmp_path / "addresses.jsonl", rows)


@pytest.fixture
def questions(tmp_path: Path) -> str:
    """80 prompts with completions."""
    rows = [
        {"prompt": f"What is {number} plus 1 {'film ' * (number % 5)}", "completion": f"answer {number + 1}"}
        for number in range(80)
    ]
    return write_rows(tmp_path / "questions.jsonl", rows)


def write_rows(path: Path, rows: list[dict[str, Any]]) -> str:
    """Rows as JSON lines; the data set's word."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return f"file:{path}"


@pytest.fixture
def context() -> Iterator[Callable[..., WorkContext]]:
    """Makes the context of a new run from a recipe's options; takes the lease of attempt 1."""
    made: list[WorkContext] = []

    def make(**options: Any) -> WorkContext:
        kind = options.pop("kind", "train")
        recipe: Recipe = build_recipe(kind, options)
        folder = RunFolder.create(recipe)
        attempt = folder.take_lease(1)
        made.append(WorkContext(folder, attempt, folder.recipe(), attempt.writer("trainer"), 1))
        return made[-1]

    yield make
    for each in made:
        each.events.close()
