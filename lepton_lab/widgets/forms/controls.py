"""A control a field: which widget a field of the schema gets, and how its value goes in and comes out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import ipywidgets

from ...commands.drafts import text_of, value_of
from ...commands.values import Candidate
from ...errors import Problem
from ...recipe import Flag
from .pages import wrong_html

_FIXED_CHOICE = ("task", "compile.backend")
_PICKED = (
    *("model", "parent", "output_dir", "data.dataset", "data.validation_dataset", "data.test_dataset"),
    *("train.resume_from_checkpoint", "train.metric_for_best_model", "resources.cluster"),
)
_LONG_TEXTS = ("notes",)
_LABEL_WIDTH = "186px"


@dataclass
class Looks:
    """Layouts and styles that all controls share: each is a model of its own in the page."""

    wide: Any
    tick: Any
    text_style: Any
    choice_style: Any


def shared_looks() -> Looks:
    """Made once a form."""
    return Looks(
        wide=ipywidgets.Layout(width="auto", min_width="0"),
        tick=ipywidgets.Layout(width="auto", margin="2px 2px 2px 196px"),
        text_style=ipywidgets.widgets.widget_string.TextStyle(description_width=_LABEL_WIDTH),
        choice_style=ipywidgets.widgets.widget_description.DescriptionStyle(description_width=_LABEL_WIDTH),
    )


class Control:
    """One field: ``box`` is what stands in the form, ``widget`` what one types into."""

    def __init__(self, flag: Flag, value: Any, looks: Looks, on_change: Callable[[str, Any], None]) -> None:
        self.flag = flag
        self._on_change = on_change
        self._is_writing = False
        self.widget = _make(flag, looks)
        self.box = ipywidgets.VBox([self.widget], layout=ipywidgets.Layout(min_width="0", overflow="hidden"))
        self._wrong: Any = None
        self.write(value)
        self.widget.observe(self._changed, "value")

    def read(self) -> Any:
        """What is filled in; None for nothing, or for what is the default anyway."""
        value = self.widget.value
        if isinstance(self.widget, ipywidgets.Checkbox):
            return None if value == self.flag.default else value
        if isinstance(self.widget, ipywidgets.SelectMultiple):
            return list(value) or None
        if isinstance(self.widget, ipywidgets.Dropdown) and self.flag.choices:
            return None if value == self.flag.default else value
        return value_of(self.flag, str(value or ""))

    def write(self, value: Any) -> None:
        """Fill it in; None: nothing."""
        self._is_writing = True
        try:
            if isinstance(self.widget, ipywidgets.Checkbox):
                self.widget.value = bool(self.flag.default if value is None else value)
            elif isinstance(self.widget, ipywidgets.SelectMultiple):
                self.widget.value = tuple(each for each in self.widget.options if each in (value or ()))
            elif isinstance(self.widget, ipywidgets.Dropdown):
                shown = text_of(self.flag, self.flag.default if value is None and self.flag.choices else value)
                self._admit(shown)
                self.widget.value = shown
            else:
                self.widget.value = text_of(self.flag, value)
        finally:
            self._is_writing = False

    def offer(self, candidates: Iterable[Candidate]) -> None:
        """What may be picked. What stands there stays, whether it is among them or not."""
        found = [each for each in candidates if each.value]
        if isinstance(self.widget, ipywidgets.Combobox):
            self.widget.options = tuple(dict.fromkeys(each.value for each in found))
        elif isinstance(self.widget, ipywidgets.Dropdown) and not self.flag.choices:
            chosen = str(self.widget.value or "")
            values = [each.value for each in found if each.value != text_of(self.flag, self.flag.default)]
            values += [chosen] if chosen and chosen not in values else []
            options = ((_nothing(self.flag), ""), *((each, each) for each in values))
            if tuple(self.widget.options) != options:
                self._is_writing = True
                try:
                    self.widget.options = options
                    self.widget.value = chosen
                finally:
                    self._is_writing = False

    def complain(self, problems: Sequence[Problem]) -> None:
        """Say under the field what is wrong with it."""
        if problems and self._wrong is None:
            self._wrong = ipywidgets.HTML()
        if self._wrong is not None:
            self._wrong.value = wrong_html(problems) if problems else ""
            children = (self.widget, self._wrong) if problems else (self.widget,)
            if self.box.children != children:
                self.box.children = children

    def _changed(self, change: Any) -> None:
        if not self._is_writing:
            self._on_change(self.flag.path, self.read())

    def _admit(self, value: str) -> None:
        """Let a drop-down hold a value that it did not offer: the schema or the data will say what is wrong with it."""
        known = [each[1] if isinstance(each, tuple) else each for each in self.widget.options]
        if value not in known:
            self.widget.options = [*self.widget.options, (value, value)]


def _make(flag: Flag, looks: Looks) -> Any:
    # The page puts the tooltip of an input nowhere, in ipywidgets 8.1, but keeps the title of a label.
    label = f'<span title="{escape(tooltip_of(flag), quote=True)}">{escape(title_of(flag))}</span>'
    common: dict[str, Any] = {"description": label, "description_allow_html": True, "tooltip": tooltip_of(flag)}
    if flag.value_type == "bool":
        return ipywidgets.Checkbox(value=bool(flag.default), indent=False, layout=looks.tick, **common)
    common["layout"] = looks.wide
    common["style"] = looks.choice_style
    if flag.many and flag.choices:
        return ipywidgets.SelectMultiple(options=flag.choices, rows=len(flag.choices), **common)
    if flag.choices:
        return ipywidgets.Dropdown(options=[(each, each) for each in flag.choices], **common)
    if flag.path in _FIXED_CHOICE or flag.path.endswith("_column"):
        return ipywidgets.Dropdown(options=[(_nothing(flag), "")], value="", **common)
    common |= {"placeholder": placeholder_of(flag), "continuous_update": False, "style": looks.text_style}
    if flag.is_whole or flag.path in _LONG_TEXTS:
        return ipywidgets.Textarea(rows=2, **common)
    if flag.path in _PICKED:
        return ipywidgets.Combobox(ensure_option=False, **common)
    return ipywidgets.Text(**common)


def title_of(flag: Flag) -> str:
    """The field's name in words."""
    return flag.names[0].replace("-", " ")


def tooltip_of(flag: Flag) -> str:
    """The help, with bounds, default and the names that it has in code."""
    notes = [f"Bounds: {flag.bounds}." if flag.bounds else "", f"In code: {', '.join(flag.names)}."]
    default = text_of(flag, flag.default)
    if default and "Default:" not in flag.help:
        notes.insert(1, f"Default: {default}.")
    return " ".join([flag.help, *filter(None, notes)])


def placeholder_of(flag: Flag) -> str:
    """What a field says while nothing is in it: its default, or what kind of value it takes."""
    if flag.is_whole:
        return "one a line, as in lr=1e-5..1e-3:log" if flag.path == "sweep.search" else "one a line"
    parts = []
    if flag.default not in (None, "", []):
        parts.append(text_of(flag, flag.default))
    elif "Default:" in flag.help:
        parts.append(flag.help.partition("Default:")[2].strip().rstrip(".").partition(". ")[0])
    elif flag.many:
        parts.append("several with commas")
    if flag.bounds:
        parts.append(f"({flag.bounds})")
    return " ".join(parts)


def _nothing(flag: Flag) -> str:
    return "found by its name" if flag.path.endswith("_column") else text_of(flag, flag.default) or "choose one"
