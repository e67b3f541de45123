"""The forms of ``train``, ``sweep``, ``compile`` and ``benchmark``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ... import lab
from ...commands.drafts import RecipeDraft
from ...commands.values import Candidate
from ...errors import RequestError
from ...planning import read_recipe
from ...recipe import TRAINING_KINDS, Flag
from ...registry import load_task
from ..show import show_run
from .body import Form
from .looking import Look, is_far, look_at
from .pages import estimate_html, preview_html, quiet_html

_TITLES = {
    "train": ("Fine-tune a model", "Start the training"),
    "sweep": ("Search for good settings", "Start the search"),
    "compile": ("Make a trained model fast", "Start the compilation"),
    "benchmark": ("Measure a model", "Start the measurement"),
}
_FAR_AWAY = "The data is not on this machine: it is looked at when you start."


class RecipeForm(Form):
    """Fields of a recipe; ``run`` is what was started last."""

    draft: RecipeDraft
    sections_with_a_page = ("data",)

    def __init__(self, draft: RecipeDraft, namespace: Mapping[str, Any]) -> None:
        self.title, self.action = _TITLES[draft.kind]
        self.run: lab.Run | None = None
        self.seen = Look()
        super().__init__(draft, namespace)

    def look(self) -> None:
        """Data, preflight, estimate, and whatever is wrong beyond the schema."""
        wrong = self.draft.problems()
        if is_far(self.draft):
            self.seen = Look()
            self.state.value = quiet_html(_FAR_AWAY)
            self.beside["data"].value = ""
        elif self.draft.kind in TRAINING_KINDS and self.draft.values.get("data.dataset"):
            self.seen = look_at(self.draft, self._namespace)
            self.state.value = estimate_html(self.seen)
            self.beside["data"].value = preview_html(self.seen)
            wrong = list(self.seen.problems) or wrong
        else:
            self.seen = Look()
            self.state.value = self.beside["data"].value = ""
        super().look()
        self._fit_columns()
        self.judge(wrong)

    def act(self) -> None:
        """Submit the run and show it under the form."""
        recipe = read_recipe(self.draft.kind, self.draft.options(), self._namespace)
        self.run = lab.submit(recipe, self._namespace)
        show_run(self.run, wait=False, place=self.place)

    def _candidates(self, flag: Flag) -> list[Candidate]:
        """Those of completion; columns also of data that completion does not open."""
        found = super()._candidates(flag)
        if not found and flag.path.endswith("_column") and self.seen.peek is not None:
            return [Candidate(column) for column in self.seen.peek.columns]
        return found

    def _fit_columns(self) -> None:
        """Hide the columns that the task has no use for, unless somebody named one."""
        try:
            needs = load_task(str(self.draft.values["task"])).needs if self.draft.values.get("task") else ()
        except RequestError:
            needs = ()
        used = {f"data.{need.option}" for alternative in needs for need in alternative}
        for path, control in self.controls.items():
            if path.endswith("_column"):
                is_seen = not used or path in used or path in self.draft.values
                control.box.layout.display = None if is_seen else "none"
