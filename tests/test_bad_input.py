"""Every bad input through the real command tree: one clear message, exit code 2, nothing imported, nothing left."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell

from lepton_lab import cli, data, lab, samples
from lepton_lab.errors import RequestError
from lepton_lab.record import RunFolder
from lepton_lab.registry import load_task
from tests.commands.making import finished_run, new_run

HEAVY = ("torch", "transformers", "peft", "accelerate", "distributed")
CHATML = "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}{% endfor %}"


class _Refusing(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Lets heavy packages be found, as checks do, but not imported."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        spec = importlib.machinery.PathFinder.find_spec(name) if name in HEAVY else None
        if spec is not None:
            spec.loader = self
        return spec

    def exec_module(self, module: ModuleType) -> None:
        raise AssertionError(f"{module.__name__} was imported to answer a wrong request")


def csv(rows: Sequence[str], header: str = "text,label") -> bytes:
    return "".join(f"{line}\n" for line in (header, *rows)).encode()


def jsonl(rows: Sequence[dict[str, Any]]) -> bytes:
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()


def chat(*roles: str) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": f"{role} says {place}"} for place, role in enumerate(roles)]}


def safetensors(*names: str) -> bytes:
    """The header of a file of weights; nobody may read the weights themselves."""
    header = json.dumps({name: {"dtype": "F32", "shape": [8, 8], "data_offsets": [0, 256]} for name in names}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(256)


GOOD = [f"text number {row},{('neg', 'pos')[row % 2]}" for row in range(20)]
TAGGED = [{"tokens": ["12", "Main"], "tags": ["No", "Street"]} for _ in range(19)]
ASKED = [chat("user", "assistant") for _ in range(19)]

TEXT = "train --task text-classification --model m/bert --dataset"
TOKENS = "train --task token-classification --model m/bert --dataset"
CHAT = "train --task text-generation --model m/llama --dataset"
FINE = f"{TEXT} good.csv"
FINE_CHAT = f"{CHAT} chats.jsonl"


@dataclass
class Case:
    """A command line, pieces of the one problem it must give, and files it needs beside the good ones."""

    id: str
    words: str
    says: tuple[str, ...]
    files: dict[str, bytes] = field(default_factory=dict)


CASES = [
    # The data set
    Case("missing file", f"{TEXT} god.csv", ("no file god.csv", "Did you mean good.csv?")),
    Case("missing path", f"{TEXT} /nowhere/at/all.csv", ("no file all.csv", "got the path /nowhere/at/all.csv", "Check")),
    Case("missing test file", f"{FINE} --test-dataset gone.csv", ("no file gone.csv",)),
    Case("empty file", f"{TEXT} a.csv", ("is empty", "got 0 bytes", "Give a file with a header and rows"), {"a.csv": b""}),
    Case("header only", f"{TEXT} a.csv", ("has no rows", "a header only"), {"a.csv": csv([])}),
    Case(
        "mixed folder", f"{TEXT} folder", ("mixes formats", "got 1 csv, 1 jsonl", "Name one file"),
        {"folder/a.csv": csv(GOOD), "folder/b.jsonl": jsonl(TAGGED)},
    ),
    Case("wrong column", f"{FINE} --text-column txt", ("no column 'txt'", "got the columns text, label", "--text-column text")),
    Case("column to guess", f"{TEXT} a.csv", ("no column for the text", "Set --text-column stuff"), {"a.csv": csv(GOOD, "stuff,label")}),
    Case("no header", f"{TEXT} a.csv", ("no column for the text and label", "The first line of the file must name"), {"a.csv": csv(GOOD, "so so,neg")}),
    Case("one column for two", f"{FINE} --text-column label --label-column label", ("each column can be used for one thing", "--text-column and --label-column")),
    Case("column of another task", f"{FINE} --tags-column label", ("--tags-column means nothing to this task",)),
    Case("one class", f"{TEXT} a.csv", ("at least two different labels", "only 'pos'", "Add rows"), {"a.csv": csv(GOOD[1::2] * 2)}),
    Case("labels missing", f"{TEXT} a.csv", ("every label in the column 'label' is missing", "--label-column"), {"a.csv": csv(["a,"] * 20)}),
    Case(
        "floats for classes", f"{TEXT} a.csv --problem-type single_label",
        ("must be classes", "floats such as 0.5", "--problem-type regression"), {"a.csv": csv([f"text {row},{row % 4 + 0.5}" for row in range(20)])},
    ),
    Case(
        "unseen labels", f"{FINE} --validation-dataset dev.csv", ("validation data has labels that the training data never shows", "meh (1 row)", "Add training rows"),
        {"dev.csv": csv(["a,pos", "b,meh"])},
    ),
    Case(
        "unseen tags", f"{TOKENS} tagged.jsonl --test-dataset t.jsonl", ("test data has labels that the training data never shows", "Box (1 row)"),
        {"t.jsonl": jsonl([{"tokens": ["9"], "tags": ["Box"]}])},
    ),
    Case("text of numbers", f"{TEXT} a.csv", ("'text' must hold text", "whole numbers, such as '0'", "--text-column"), {"a.csv": csv([f"{row},{row % 2}" for row in range(20)])}),
    Case(
        "text of lists", f"{TEXT} a.jsonl", ("'text' must hold text", "lists, such as", "--text-column"),
        {"a.jsonl": jsonl([{"text": ["a", "b"], "label": "ab"[row % 2]} for row in range(20)])},
    ),
    Case("NaN text", f"{TEXT} a.csv", ("'text' of the train data is empty", "20 rows without a text"), {"a.csv": csv([f"nan,{row % 2}" for row in range(20)])}),
    Case(
        "tags of another length", f"{TOKENS} a.jsonl", ("as many 'tags' as 'tokens'", "2 and 1 in row 20", "Give every word one tag"),
        {"a.jsonl": jsonl([*TAGGED, {"tokens": ["1", "2"], "tags": ["No"]}])},
    ),
    Case(
        "two questions in turn", f"{CHAT} a.jsonl", ("user and assistant do not take turns", "row 20", "in turn"),
        {"a.jsonl": jsonl([*ASKED, chat("user", "user", "assistant")])},
    ),
    Case("question last", f"{CHAT} a.jsonl", ("the last message is not the assistant's", "row 20"), {"a.jsonl": jsonl([*ASKED, chat("user", "assistant", "user")])}),
    Case("unknown role", f"{CHAT} a.jsonl", ("the role 'tool' is not", "row 20"), {"a.jsonl": jsonl([*ASKED, chat("user", "tool")])}),
    Case("every token masked", f"{FINE_CHAT} --max-length 4", ("every token of every answer would be masked", "--max-length 4", "Set --max-length to more than")),
    Case("no such sample", f"{TEXT} sample:movie-sentimint", ("no such sample data set", "Did you mean sample:movie-sentiment?")),
    Case("variable in a shell", f"{TEXT} var:reviews", ("names a variable of a notebook, and this is none", "Save the data frame to a file")),
    Case("address", f"{TEXT} ftp://example.org/a.csv", ("addresses of this kind are not read", "s3://")),
    Case("nothing", f"{TEXT} ''", ("a data set is needed", "Set --dataset")),
    Case("bad hub name", f"{TEXT} hub:a/b/c", ("not the name of a hub data set", "hub:OWNER/NAME")),
    # The model
    Case("no such model", f"{FINE} --model ./nowhere", ("there is no such model", "'./nowhere'", "sample:NAME")),
    Case("no such sample model", f"{FINE} --model sample:minlm", ("no sample model of that name", "sample:minilm")),
    Case("model without config", f"{FINE} --model m/bare", ("has no config.json", "got model.safetensors", "save_pretrained")),
    Case("torn config", f"{FINE} --model m/torn", ("config.json cannot be read", "Save the model again")),
    Case("pickled weights", f"{FINE} --model m/pickled", ("pickled weights only", "pytorch_model.bin", "--allow-pickle")),
    Case("no weights", f"{FINE} --model m/empty", ("has no safetensors weights",)),
    Case("no tokenizer", f"{FINE} --model m/mute", ("has no tokenizer", "tokenizer.save_pretrained")),
    Case("adapter only", f"{FINE} --model m/adapter", ("holds only an adapter", "merge_and_unload")),
    Case("wrong architecture", f"{FINE} --model m/vision", ("cannot do text-classification", "a model of type vit", "Name a model made for text")),
    Case("task beyond the model", f"{FINE_CHAT} --model m/bert", ("cannot do text-generation", "type bert", "It can do text-classification and token-classification")),
    Case("file as model", f"{FINE} --model good.csv", ("a model is a folder", "the file good.csv")),
    Case("weights cut off", f"{FINE} --model m/cut", ("weights in", "are not whole", "model.safetensors: ", " of ", "Fetch or copy it again")),
    Case("weights that Git did not fetch", f"{FINE} --model m/pointer", ("are not whole", "a Git LFS pointer", "git lfs pull")),
    Case("weights of noise", f"{FINE} --model m/noise", ("are not whole", "no header that can be read")),
    Case("tracker that is not installed", f"{FINE} --report-to wandb", ("--report-to wandb needs the package wandb", "pip install wandb")),
    Case("more tokens than positions", f"{FINE} --max-length 513", ("the model takes at most 512 tokens, got 513", "Set --max-length to at most 512")),
    Case("no such layer", f"{FINE} --peft lora --target-modules qery,dense", ("no layer of that name, got 'qery'", "Did you mean query?", "--target-modules", "dense, query")),
    Case("layers of another model", f"{FINE} --peft lora --target-modules q_proj --target-modules v_proj", ("no layer of that name, got 'q_proj', 'v_proj'", "dense, query")),
    # The options
    Case("no such metric", f"{FINE} --metric-for-best-model acuracy", ("no metric of that name of single label data", "got 'acuracy'", "Did you mean accuracy?", "loss, accuracy, f1")),
    Case("metric of other labels", f"{FINE} --metric-for-best-model rmse", ("no metric of that name", "Set --metric-for-best-model to one of")),
    Case("metric of another task", f"{FINE_CHAT} --metric-for-best-model eval_accuracy", ("text-generation has no metric of that name", "loss, perplexity")),
    Case("stop early without evaluation", f"{FINE} --early-stopping-patience 2 --eval-strategy no", ("early stopping compares", "--eval-strategy no", "Set --eval-strategy")),
    Case("negative step size", f"{FINE} --lr -1", ("learning_rate must be > 0", "got '-1'", "Set --learning-rate")),
    Case("NaN step size", f"{FINE} --lr nan", ("learning_rate must be a finite number", "got 'nan'", "Set --learning-rate")),
    Case("endless step size", f"{FINE} --lr 1e999", ("learning_rate must be a finite number",)),
    Case("step size in words", f"{FINE} --lr fast", ("learning_rate must be a number", "got 'fast'")),
    Case("huge seed", f"{FINE} --seed 99999999999999999999", ("seed must be less than", "Set --seed")),
    Case("misspelt option", f"{FINE} --epocs 3", ("no option --epocs", "Did you mean --epochs?")),
    Case("option without value", f"{FINE} --lr", ("'--lr' requires an argument", "lepton train --help")),
    Case("misspelt choice", f"{FINE} --peft loar", ("peft must be 'none' or 'lora'", "Did you mean lora?")),
    Case("misspelt command", "trian --task x", ("no command trian", "Did you mean train?")),
    Case("misspelt field", f"{FINE} --set train.learning_rat=1", ("no such option", "Did you mean train.learning_rate?")),
    Case("field without value", f"{FINE} --set lr", ("--set takes PATH=VALUE", "For example")),
    Case("field of another kind", f"{FINE} --set compile.tolerance=1", ("means nothing to a train recipe", "It belongs to compile")),
    Case("unknown task", "train --task text-clasification --model m/bert --dataset good.csv", ("no such task", "Did you mean text-classification?")),
    Case("unknown cluster", f"{FINE} --cluster far", ("no such cluster", "Set --cluster to local")),
    Case("unknown checkpoint", f"{FINE} --resume-from-checkpoint m", ("no such checkpoint", "checkpoint-N")),
    Case("reserved name", f"{FINE} --name last", ("a run cannot be called last", "Set another --name")),
    Case("output folder in use", f"{FINE} --output-dir full", ("holds other files", "got notes.txt", "Set --output-dir to a new folder"), {"full/notes.txt": b"mine"}),
    Case("output folder is a link", f"{FINE} --output-dir m", ("the output folder is a link", "Set --output-dir to")),
    Case("output folder is a file", f"{FINE} --output-dir good.csv", ("the output folder is not a folder",)),
    Case("output folder in a file", f"{FINE} --output-dir good.csv/model", ("cannot be made", "which is a file")),
    Case("output folder of no name", f"{FINE} --output-dir ''", ("output_dir must not be empty",)),
    Case("output folder of a compilation in use", "compile fine --output-dir full", ("holds other files", "got notes.txt"), {"full/notes.txt": b"mine"}),
    Case("processes for a compilation", "compile fine --processes 2", ("compile has no option --processes", "It belongs to train and sweep")),
    Case("step size for a measurement", "benchmark fine --lr 1", ("benchmark has no option --lr", "It belongs to train and sweep")),
    # Recipes in YAML
    Case("missing recipe", "train -f gone.yaml", ("no such recipe file", "Check --file")),
    Case("not YAML", "train -f a.yaml", ("the recipe is not YAML", "in line 2", "Mend it there"), {"a.yaml": b"task: [a\n"}),
    Case("code in YAML", "train -f a.yaml", ("the recipe is not YAML", "in line 1"), {"a.yaml": b"a: !!python/object/apply:os.abort []\n"}),
    Case("list for a recipe", "train -f a.yaml", ("a recipe is a mapping", "got a list"), {"a.yaml": b"- a\n"}),
    Case("recipe of another kind", "train -f a.yaml", ("takes a train recipe", "Use: lepton compile"), {"a.yaml": b"kind: compile\nparent: last\n"}),
    Case(
        "field named twice", f"{FINE} -f a.yaml", ("train.learning_rate is given twice", "Leave one of them out"),
        {"a.yaml": b"train: {learning_rate: 0.1}\nlr: 0.2\n"},
    ),
    Case(
        "output folder for a measurement", "benchmark fine -f a.yaml", ("output_dir means nothing to a benchmark recipe", "It belongs to train, compile and sweep"),
        {"a.yaml": b"output_dir: x\n"},
    ),
    Case("machines for a compilation", "compile fine --set resources.workers=2", ("resources.workers means nothing to a compile recipe", "It belongs to train and sweep")),
    # Runs
    Case("no such run", "show 2001", ("there is no such run", "'2001'", "See: lepton runs")),
    Case("run of no name", "attach ''", ("there is no such run",)),
    Case("path for a run", "events ../runs", ("there is no such run", "'../runs'")),
    Case("ambiguous run", "cancel AMBIGUOUS", ("2 runs begin with", "Type more")),
    Case("compile no run", "compile 2001", ("there is no such run", "'2001'")),
    Case("benchmark no run", "benchmark 2001", ("there is no such run",)),
    Case("predict no run", "predict 2001 hello", ("there is no such run",)),
    Case("predict nothing", "predict AMBIGUOUS", ("needs at least one text", "For example")),
    Case("compile a failed run", "compile broken", ("has no model to compile", "a run that ended failed", "Name another run")),
    Case("unknown backend", "compile fine --backend openvin", ("no such backend", "Did you mean openvino?")),
    Case("no rows a request", "benchmark fine --batch-sizes 1,0", ("batch_sizes must be whole numbers from 1 on", "[1, 0]", "--batch-sizes")),
    Case("nothing to ask", "predict fine --file a.csv", ("has no rows", "Give a file with inputs"), {"a.csv": b"text\n"}),
    Case("folder of questions", "predict fine --file m", ("m cannot be read", "is a directory", "Name a file")),
    Case("negative tolerance", "compile fine --tolerance -1", ("tolerance must be ≥ 0",)),
]  # fmt: skip


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Model folders, some of them broken. Weights are a few bytes: nobody may read them."""
    root = tmp_path_factory.mktemp("models")
    sample = samples.resolve("minilm")
    bert: dict[str, bytes] = {
        name: (sample / name).read_bytes() for name in ("config.json", "tokenizer.json", "tokenizer_config.json")
    }
    weights = {
        "model.safetensors": safetensors("encoder.layer.0.attention.self.query.weight", "encoder.layer.0.dense.weight")
    }
    config, tokenizer = {"config.json": bert["config.json"]}, {"tokenizer.json": bert["tokenizer.json"]}
    llama = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 8, "vocab_size": 30522}
    folders = {
        "bert": {**bert, **weights},
        "llama": {
            "config.json": json.dumps(llama).encode(),
            "tokenizer_config.json": json.dumps({"chat_template": CHATML}).encode(),
            **tokenizer,
            **weights,
        },
        "cut": {**bert, "model.safetensors": weights["model.safetensors"][:-100]},
        "pointer": {**bert, "model.safetensors": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"},
        "noise": {**bert, "model.safetensors": b"none"},
        "bare": weights,
        "torn": {"config.json": b'{"model_type": ', **tokenizer, **weights},
        "pickled": {**bert, "pytorch_model.bin": b"\x80\x02."},
        "empty": bert,
        "mute": {**config, **weights},
        "adapter": {"adapter_config.json": b"{}"},
        "vision": {"config.json": b'{"model_type": "vit"}', **tokenizer, **weights},
    }
    for folder, files in folders.items():
        write(root / folder, files)
    return root


def write(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


@pytest.fixture(autouse=True)
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, models: Path) -> Iterator[Path]:
    """A folder with good files, a home of its own, and no way to import what is heavy or to begin a run."""
    monkeypatch.setenv("LEPTON_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LEPTON_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setattr("lepton_lab.session._last_here", None)
    monkeypatch.setattr("lepton_lab.session._is_shell_command", False)
    place = tmp_path / "place"
    write(place, {"good.csv": csv(GOOD), "tagged.jsonl": jsonl(TAGGED), "chats.jsonl": jsonl(ASKED)})
    (place / "m").symlink_to(models)
    monkeypatch.chdir(place)
    with monkeypatch.context() as patch:
        for name in HEAVY:
            patch.delitem(sys.modules, name, raising=False)
        patch.setattr(sys, "meta_path", [_Refusing(), *sys.meta_path])
        yield place


@pytest.fixture
def no_run_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError("the request was accepted")

    monkeypatch.setattr(RunFolder, "create", refuse)


def runs(tmp_path: Path) -> list[str]:
    folder = tmp_path / "home" / "runs"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def ask(line: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, list[dict[str, str]]]:
    """(exit code, what stderr says, the problems as JSON) of a command line."""
    capsys.readouterr()
    first, *rest = shlex.split(line)
    code = cli.main([first, "--json", *rest])
    output, errors = capsys.readouterr()
    problems = json.loads(output)["problems"] if code else []
    return code, errors, problems


def check(code: int, said: str, problems: list[dict[str, str]], count: int = 1) -> None:
    """Exit code 2, one message of ``count`` problems, each of which says what, got and do."""
    assert code == 2, said
    assert said.startswith("Error: ")
    assert said.count("Error") == 1
    assert "Traceback" not in said
    assert len(problems) == count, said
    for problem in problems:
        assert problem["what"], said
        assert problem["do"] or "See:" in problem["what"] or "For example" in problem["what"], said
        assert len(str(problem)) < 1200


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id.replace(" ", "-"))
def test_bad_input(
    case: Case, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    write(world, case.files)
    words = case.words
    if "AMBIGUOUS" in words or words.split()[1] == "fine" or "broken" in words:
        first = finished_run(name="fine")
        finished_run("failed", name="broken")
        shutil.copytree(first.path, first.path.with_name(f"{first.run[:-1]}~"))
        words = words.replace("AMBIGUOUS", first.run[:-1])
    before = runs(tmp_path)
    request.getfixturevalue("no_run_begins")
    code, said, problems = ask(words, capsys)
    check(code, said, problems)
    for part in case.says:
        assert part in said
    assert runs(tmp_path) == before


def test_five_mistakes_are_five_problems(
    tmp_path: Path, no_run_begins: None, capsys: pytest.CaptureFixture[str]
) -> None:
    line = "train --task text-clasification --model m/bare --dataset gone.csv --lr -1 --output-dir ."
    code, said, problems = ask(line, capsys)
    check(code, said, problems, 5)
    for part in (
        "no such task",
        "no config.json",
        "no file gone.csv",
        "learning_rate must be > 0",
        "holds other files",
    ):
        assert part in said
    assert said.startswith("Error: 5 problems:\n  1. ")
    line = "train --task text-classification --epocs 3 --model m/bare --dataset gone.csv --pefd=lora --lr -1"
    code, said, problems = ask(line, capsys)
    check(code, said, problems, 5)
    for part in ("Did you mean --epochs?", "Did you mean --peft?", "no config.json", "gone.csv", "must be > 0"):
        assert part in said
    Path("a.yaml").write_text(
        "taks: text-classification\nlr: fast\ntrain: {epocs: 3}\nmodel: m/pickled\ndataset: gone.csv\n"
    )
    code, said, problems = ask("train -f a.yaml --seed -1", capsys)
    check(code, said, problems, 7)
    for part in (
        "Did you mean task?",
        "must be a number",
        "Did you mean train.epochs?",
        "pickled",
        "no file",
        "seed",
        "a task is",
    ):
        assert part in said
    code, said, problems = ask("compile 2001 --tolerance -1 --backend nope", capsys)
    check(code, said, problems, 3)
    assert runs(tmp_path) == []


def test_home_that_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_run_begins: None, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LEPTON_HOME", str(tmp_path / "place/good.csv"))
    code, said, problems = ask(FINE, capsys)
    check(code, said, problems)
    assert "LEPTON_HOME cannot be written" in said
    assert "which is a file. Set LEPTON_HOME" in said


@pytest.mark.parametrize("place", ["home", "out"])
def test_too_little_disk(place: str, tmp_path: Path, no_run_begins: None, capsys: pytest.CaptureFixture[str]) -> None:
    home = tmp_path / place
    home.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(home)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"a small disk cannot be made here: {done.stderr.strip()}")
    try:
        code, said, problems = ask(f"{FINE} --output-dir {tmp_path}/out/model", capsys)
        check(code, said, problems)
        remedy = {"home": ("lepton prune", "LEPTON_HOME"), "out": (f"in {tmp_path}/out/model", "Set --output-dir")}
        for part in ("this run needs about", "MB of disk", "1 MB free", *remedy[place]):
            assert part in said
        assert runs(tmp_path) == []
    finally:
        subprocess.run(["umount", str(home)], check=True)


@pytest.mark.parametrize(
    ("content", "warns"),
    [
        (csv(GOOD, " text ,label \r"), "cleaned of white space"),
        (csv(GOOD, "\ufefftext,label"), ""),
        (csv([*GOOD, "nan,pos", ",neg"]), "2 rows of the train data were left out"),
        (csv([*GOOD, "a rare one,meh"]), ""),  # we cut the splits, so training sees every label
    ],
    ids=["header with spaces", "byte order mark", "some texts missing", "rare label"],
)
def test_what_is_mended_with_a_warning(
    content: bytes, warns: str, no_run_begins: None, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("a.csv").write_bytes(content)
    assert cli.main(shlex.split(f"{TEXT} a.csv --show-recipe")) == 0
    assert "file:" in capsys.readouterr().out
    recipe = lab.plan("train", {"task": "text-classification", "model": "m/bert", "dataset": "a.csv"})
    splits = data.load_splits(recipe, load_task("text-classification").needs)
    assert set(splits.train["label"].to_pylist()) == set(splits.labels or ())
    assert warns in " ".join(map(str, splits.warnings))


def test_pickled_weights_are_read_when_asked_to(no_run_begins: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(shlex.split(f"{FINE} --model m/pickled --allow-pickle --show-recipe")) == 0
    assert "allow_pickle: true" in capsys.readouterr().out


def test_odd_names_are_names(no_run_begins: None, capsys: pytest.CaptureFixture[str]) -> None:
    Path("größe ☃").mkdir()
    Path("größe ☃/<b>.csv").write_bytes(csv(GOOD))
    line = f"{TEXT} 'größe ☃/<b>.csv' --name '<script>alert(1)</script>' --tags 'a, b,,c' --tags d --show-recipe"
    assert cli.main(shlex.split(line)) == 0
    shown = capsys.readouterr().out
    assert "größe ☃/<b>.csv" in shown
    assert "tags:\n- a\n- b\n- c\n- d\n" in shown


def test_options_win_over_every_spelling_in_the_file(no_run_begins: None, capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.yaml").write_text("train:\n  learning_rate: 0.1\nlr: 0.2\n")
    assert cli.main(shlex.split(f"{FINE} -f a.yaml --lr 3e-4 --show-recipe")) == 0
    assert "learning_rate: 0.0003" in capsys.readouterr().out


def test_a_name_comes_before_the_beginning_of_an_id(capsys: pytest.CaptureFixture[str]) -> None:
    other = new_run()
    named = new_run(name=other.run[:2])
    assert cli.main(["show", other.run[:2], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["run"] == named.run


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (f"{TEXT} gone.csv --lr nan", "2 problems"),
        (f"{FINE_CHAT} --max-length 4", "every token of every answer"),
        (f"{FINE} --model m/vision", "a model of type vit"),
        ("trian", "Did you mean train?"),
    ],
)
def test_in_a_process_of_its_own(line: str, says: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "lepton_lab", *shlex.split(line)],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stderr.splitlines()
    imported = {each.rpartition("|")[2].strip() for each in lines if each.startswith("import time:")}
    said = "\n".join(each for each in lines if not each.startswith("import time:"))
    assert (done.returncode, done.stdout) == (2, "")
    assert said.startswith("Error: ")
    assert says in said
    assert "Traceback" not in said
    assert "lepton_lab.commands" in imported
    assert not imported & set(HEAVY)
    assert runs(tmp_path) == []


@pytest.fixture(scope="module")
def shell() -> InteractiveShell:
    ip = InteractiveShell.instance()
    ip.run_line_magic("load_ext", "lepton_lab")
    return ip


@pytest.mark.parametrize(
    ("cell", "count", "says"),
    [
        (
            "%lepton train --task text-classification --model m/bert --dataset var:review",
            1,
            "Did you mean var:reviews?",
        ),
        ("%lepton train --task text-classification --model m/bert --dataset empty", 1, "the data frame empty is empty"),
        ("%lepton train --task text-classification --model m/bert --dataset reviews --lr -1", 2, "must be"),
        ("%lepton train --task text-classification --model m/bare --dataset var:reviews", 2, "config.json"),
        ("%%lepton train --lr -1\ntask: text-classification\nmodel: m/bare\ndataset: gone.csv", 3, "3 problems"),
    ],
)
def test_a_cell_raises(
    cell: str, count: int, says: str, shell: InteractiveShell, no_run_begins: None, tmp_path: Path
) -> None:
    frame = pd.DataFrame({"text": ["a", "b"], "label": ["x", "y"]})
    shell.user_ns.update(reviews=frame, empty=frame[:0])
    result = shell.run_cell(cell)
    error = result.error_in_exec
    assert isinstance(error, RequestError)
    assert len(error.problems) == count
    assert says in str(error)
    assert runs(tmp_path) == []
    assert not any((tmp_path / "home" / "data").glob("*"))
