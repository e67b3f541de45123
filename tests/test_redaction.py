"""What is hidden, and what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from lepton_lab import redaction
from lepton_lab.errors import ClusterError, Problem, RequestError
from lepton_lab.recipe import build_recipe
from lepton_lab.record import RunFolder
from lepton_lab.record.event import clean
from lepton_lab.redaction import HIDDEN, find_secret, is_secret_name, redact
from lepton_lab.tracking.target import Target


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


PLANTED = "planted0Token1of2Sixteen"


@pytest.mark.parametrize(
    "text",
    [
        f"git clone https://{PLANTED}@github.com/a/b.git",
        f"data from https://ada:{PLANTED}@host.org/a.csv",
        f"s3://{PLANTED}@bucket/key",
        f"tracked at http://{PLANTED}@mlflow.example.org:5000/x",
        f"mysql+pymysql://me:{PLANTED}@db/mlflow",
        f"scheduler tcp://{PLANTED}@10.0.0.1:8786",
        f"scheduler tls://me:{PLANTED}@10.0.0.1:8786",
        f"HTTPS://{PLANTED}@HOST",
    ],
)
def test_who_is_before_the_at_of_an_address_is_hidden_everywhere(text: str, tmp_path: Path) -> None:
    shown = redact(text)
    assert PLANTED not in shown
    assert f"{HIDDEN}@" in shown
    assert find_secret(text)
    problem = Problem("this is wrong", text, f"Do not write {text}")
    for said in (str(problem), str(problem.to_dict()), str(RequestError(problem)), str(ClusterError(text))):
        assert PLANTED not in said
    assert PLANTED not in str(RequestError(text)._render_traceback_())
    (tmp_path / "attempts" / "1").mkdir(parents=True)
    attempt = RunFolder(tmp_path).attempt(1)
    writer = attempt.writer("trainer")
    writer.log(text)
    writer.status(status="failed", message=text)
    writer.close()
    attempt.write_outcome("failed", message=text)
    assert all(PLANTED not in path.read_text() for path in attempt.path.iterdir())


@pytest.mark.parametrize("field", ["dataset", "model", "cluster", "notes", "name", "resume_from_checkpoint"])
def test_a_recipe_takes_no_address_with_a_token(field: str) -> None:
    plan = {"task": "text-classification", "model": "m", "dataset": "d", field: f"https://{PLANTED}@host/x"}
    with pytest.raises(RequestError, match="must hold no secret") as caught:
        build_recipe("train", plan)
    assert PLANTED not in str(caught.value)


def test_a_tracking_address_shows_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"https://{PLANTED}@mlflow.example.org")
    assert Target.here().shown == f"https://{HIDDEN}@mlflow.example.org"
    assert PLANTED not in repr(Target.here())
    assert redact(f"MlflowException: 401 for {PLANTED}") == f"MlflowException: 401 for {HIDDEN}"


def test_containers_and_users_are_no_secrets() -> None:
    for harmless in (
        "abfs://container@account.dfs.core.windows.net/a",
        "ssh://ada@gpu1",
        "https://h.org/x@y",
        "a@b.org",
    ):
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
