"""What to learn from."""

from __future__ import annotations

from typing import Literal

from .option import option
from .section import Section


class DataConfig(Section):
    """The data set, its columns and its splits."""

    dataset: str | None = option(
        None,
        "var:NAME (a data frame of the notebook), file:PATH, hub:NAME, sample:NAME, an address (s3://, gs://, abfs://, "
        "https://), or a bare name.",
    )
    validation_dataset: str | None = option(
        None, "A separate validation set. Without it, one is cut from the data.", aliases=("eval_dataset",)
    )
    test_dataset: str | None = option(None, "A separate test set. Without it, one is cut from the data.")
    validation_size: float = option(0.1, "Part of the rows cut off for validation.", gt=0, lt=1)
    test_size: float = option(0.1, "Part of the rows cut off for the test.", gt=0, lt=1)
    text_column: str | None = option(None, "Column with the text.")
    text_pair_column: str | None = option(None, "Column with a second text, for pairs.", advanced=True)
    label_column: str | None = option(None, "Column with the label, the list of labels, or the number.")
    tokens_column: str | None = option(None, "Column with the list of words (token classification).")
    tags_column: str | None = option(None, "Column with one tag a word (token classification).")
    messages_column: str | None = option(None, "Column with the chat: a list of {role, content}.")
    prompt_column: str | None = option(None, "Column with the prompt (text generation).")
    completion_column: str | None = option(None, "Column with the answer to the prompt (text generation).")
    problem_type: Literal["auto", "single_label", "multi_label", "regression"] = option(
        "auto", "What the labels of a text classification mean; auto looks at them."
    )
    max_length: int | None = option(
        None, "Most tokens a row; longer ones are cut. Default: the model's limit, at most 512.", ge=4
    )
    format: Literal["auto", "csv", "tsv", "json", "jsonl", "parquet"] = option(
        "auto", "File format; auto goes by the ending and the content.", advanced=True
    )
    encoding: str | None = option(None, "Text encoding; default: found by looking.", advanced=True)
    hub_config: str | None = option(None, "Configuration (subset) of a hub data set.", advanced=True)
    max_rows: int | None = option(None, "Use at most this many training rows.", ge=1, advanced=True)
