"""From the cell to the first training step: cold, with a warm spare, and a plain Trainer script beside them.

The time starts when the cell is sent to a real kernel and ends at the first metric that the trainer
writes. Cold: no cluster, no spare. Warm: the cluster runs and a spare waits. The script is what a user
would write instead; its time starts with its process.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time

from jupyter_client.manager import KernelManager
from measure import arguments, finish, interleave, lepton, median_interval, own_lab, ratios, say, table

CELL = (
    "%lepton train --task text-classification --model sample:minilm --dataset sample:movie-sentiment --peft lora "
    "--max-steps 2 --logging-steps 1 --eval-strategy no --save-strategy no --no-wait"
)

SCRIPT = """
import sys, time
started = float(sys.argv[1])
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainerCallback, TrainingArguments, DataCollatorWithPadding
from lepton_lab import samples
base = str(samples.resolve("minilm"))
rows = Dataset(samples.load("movie-sentiment").splits["train"])
tokenizer = AutoTokenizer.from_pretrained(base)
rows = rows.map(lambda row: {**tokenizer(row["text"], truncation=True, max_length=512), "labels": [int(each == "positive") for each in row["label"]]}, batched=True, remove_columns=rows.column_names)
model = get_peft_model(AutoModelForSequenceClassification.from_pretrained(base, num_labels=2), LoraConfig(task_type="SEQ_CLS", target_modules="all-linear"))
class First(TrainerCallback):
    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == 1:
            print("FIRST", time.time() - started, flush=True)
arguments = TrainingArguments(output_dir=sys.argv[2], max_steps=2, per_device_train_batch_size=32, use_cpu=True, bf16=True, report_to=[], disable_tqdm=True, save_strategy="no", train_sampling_strategy="group_by_length")
Trainer(model=model, args=arguments, train_dataset=rows, data_collator=DataCollatorWithPadding(tokenizer), callbacks=[First()]).train()
"""  # noqa: E501


class Notebook:
    """A real kernel with the extension loaded."""

    def __init__(self) -> None:
        self.manager = KernelManager(kernel_name="python3")
        self.manager.start_kernel()
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)
        self.run("%load_ext lepton_lab")

    def run(self, code: str) -> None:
        reply = self.client.execute_interactive(code, timeout=300, output_hook=lambda message: None)
        if reply["content"]["status"] != "ok":
            raise SystemExit(f"{reply['content']['ename']}: {reply['content']['evalue']}")

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


def first_step(notebook: Notebook) -> float:
    """Seconds from sending the cell to the first step."""
    import lepton_lab

    before = {row["run"] for row in lepton_lab.runs()}
    start = time.time()
    notebook.run(CELL)
    (fresh,) = [row["run"] for row in lepton_lab.runs() if row["run"] not in before]
    run = lepton_lab.attach(fresh).wait(timeout=300).raise_for_status()
    first = run.view().first_step_time
    if first is None:
        raise SystemExit(f"run {run.id} made no step")
    return first - start


def cold(_: int) -> float:
    """Nothing runs: no cluster, no spare, a fresh kernel."""
    lepton("cluster", "stop", "--force")
    notebook = Notebook()
    seconds = first_step(notebook)
    notebook.close()
    return seconds


def warm(_: int) -> float:
    """The cluster runs and a spare is ready."""
    from lepton_lab.dispatch import cluster_status

    notebook = Notebook()
    deadline = time.monotonic() + 60
    while cluster_status().get("spare") != "ready":
        if time.monotonic() > deadline:
            raise SystemExit("no spare became ready within 60 s")
        time.sleep(0.2)
    seconds = first_step(notebook)
    notebook.close()
    return seconds


def script(_: int) -> float:
    """The plain script in a fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.time()
        command = [sys.executable, "-c", SCRIPT, str(started), folder]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(next(line.split()[1] for line in done.stdout.splitlines() if line.startswith("FIRST")))


def main() -> None:
    options = arguments(__doc__ or "")
    rounds = 2 if options.quick else 10
    with own_lab("movie-sentiment", spare=True):
        cold(0)  # fills the caches of tokenised data, for everybody
        contestants = {"cold": cold, "warm": warm, "script": script}
        samples = interleave(contestants, rounds, say)
    rows, figures = [], {}
    for name, values in samples.items():
        middle, low, high = median_interval(values)
        rows.append([name, len(values), middle, low, high])
        figures |= {f"{name}_seconds": middle, f"{name}_seconds_low": low, f"{name}_seconds_high": high}
    print(table(["", "n", "median s", "low", "high"], rows))
    for name in ("cold", "warm"):
        middle, low, high = median_interval(ratios(samples, name, "script"))
        print(f"{name} / script: {middle:.2f} ({low:.2f} to {high:.2f})")
        figures |= {f"{name}_over_script": middle, f"{name}_over_script_low": low, f"{name}_over_script_high": high}
    goals = {"warm first step in a second": (figures["warm_seconds"], "<=", 1.0)}
    finish("first_step", figures, goals, samples, options.out, options.quick)


if __name__ == "__main__":
    main()
