"""What is hidden, and what is not."""

from __future__ import annotations

import pytest

from lepton_lab import redaction
from lepton_lab.record.event import clean
from lepton_lab.redaction import HIDDEN, find_secret, is_secret_name, redact


@pytest.mark.parametrize(
    "text",
    [
        "hf_" + "abcDEF123" * 4,
        "ghp_" + "a1" * 18,
        "AKIAIOSFODNN7EXAMPLE",
        "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----",
        "eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.SflKxwRJSMeKKF2QT4",
    ],
)
def test_a_secret_is_known_by_its_shape(text: str) -> None:
    assert redact(f"before {text} after") == f"before {HIDDEN} after"
    assert find_secret(text)


def test_urls_keep_their_place_and_lose_their_password() -> None:
    assert redact("at http://me:pa55word@proxy:80/x") == f"at http://{HIDDEN}@proxy:80/x"
    assert redact("https://b.example.org/x?sig=abc%2Fdef&v=1") == f"https://b.example.org/x?sig={HIDDEN}&v=1"
    for harmless in ("tls://127.0.0.1:8786", "s3://bucket/key", "https://example.org/a?page=2", "sample:minilm"):
        assert redact(harmless) == harmless
        assert not find_secret(harmless)


def test_a_secret_is_known_by_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "correct horse/battery")
    monkeypatch.setenv("HTTPS_PROXY", "http://me:stapler99@proxy:3128")
    for text in ("correct horse/battery", "correct%20horse%2Fbattery", "stapler99"):
        assert redact(f"<{text}>") == f"<{HIDDEN}>"
    assert clean({"a": ["correct horse/battery", 3], "b": None}) == {"a": [HIDDEN, 3], "b": None}


def test_a_supervisor_hides_what_its_run_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_remembered", set())
    monkeypatch.setattr(redaction, "_seen", None)
    redaction.remember_secrets({"WANDB_API_KEY": "0123456789abcdef", "HF_HOME": "/data/models"})
    assert redact("0123456789abcdef at /data/models") == f"{HIDDEN} at /data/models"


@pytest.mark.parametrize("name", ["HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "AZURE_CLIENT_SECRET", "wandb-api-key"])
def test_names_that_tell(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name", ["TOKENIZERS_PARALLELISM", "HF_TOKEN_PATH", "GOOGLE_APPLICATION_CREDENTIALS", "HF_HOME", "PATH"]
)
def test_names_that_do_not(name: str) -> None:
    assert not is_secret_name(name)
