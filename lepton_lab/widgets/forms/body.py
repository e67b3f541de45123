"""A form under a cell: controls for the fields of a draft, problems beside them, code, a place for what comes out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from html import escape
from typing import Any

import ipywidgets

from ...commands.codes import command_of, magic_of, python_of, yaml_of
from ...commands.drafts import Draft
from ...commands.fields import SECTION_TITLES
from ...commands.values import Candidate, FieldValue, Typed
from ...errors import LeptonError, Problem, RequestError
from ...recipe import Flag
from ..show import Place
from .code_panel import CodePanel
from .controls import Control, shared_looks
from .pages import STYLE, problems_html

_PAUSE_SECONDS = 0.3  # while somebody changes one field after the other, nothing heavy is done
_NOTHING = "nothing"  # what the schema says it got where a field is needed
_TWO_COLUMNS = "repeat(auto-fit, minmax(min(370px, 100%), 1fr))"


class Form:
    """What is filled in is :attr:`draft`; shown where it is the last value of a cell. Subclasses say what it is for."""

    title = ""
    action = ""

    def __init__(self, draft: Draft, namespace: Mapping[str, Any]) -> None:
        self.draft = draft
        self._namespace = namespace
        self._later = Later(self.look)
        self._looks = shared_looks()
        self._insists = False
        self.controls: dict[str, Control] = {}
        self._sections: list[tuple[str, tuple[Flag, ...], Any]] = []
        self.tabs = ipywidgets.Tab()
        self.beside = {section: ipywidgets.HTML() for section in self.sections_with_a_page}
        self.state = ipywidgets.HTML()
        self.wrong = ipywidgets.HTML()
        self.button = ipywidgets.Button(description=self.action, button_style="primary", tooltip=self.action)
        self.button.layout.width = "auto"
        self.button.on_click(lambda _: self.submit())
        self.codes = CodePanel(
            codes=self._codes(), layout=ipywidgets.Layout(flex="1", min_width="0", margin="0 0 0 12px")
        )
        self.widget = ipywidgets.VBox(self._parts(), layout=ipywidgets.Layout(padding="4px 0"))
        self.widget.add_class("lepton-form")
        self.place = Place(self._show_live)
        self._build()
        self.look()

    sections_with_a_page: tuple[str, ...] = ()
    """Sections below whose fields something is shown."""

    def _parts(self) -> list[Any]:
        head = ipywidgets.HTML(
            f'{STYLE}<div class="lepton-form-title">{escape(self.title)}</div>'
            '<div class="lepton-form-quiet">Only what differs from the default needs to be filled in. '
            "Point at a field for its help.</div>"
        )
        actions = ipywidgets.HBox([self.button, self.codes], layout=ipywidgets.Layout(align_items="flex-start"))
        return [head, self.tabs, self.state, self.wrong, actions]

    # -- filling in

    def set(self, path: str, value: Any) -> None:
        """Fill a field in, as if it was typed."""
        self.controls[path].write(value)
        self._change(path, self.controls[path].read())

    def _change(self, path: str, value: Any) -> None:
        before = {flag.path for flag in self.draft.fields()}
        self.draft = self.draft.with_value(path, value)
        if {flag.path for flag in self.draft.fields()} != before:
            self._build()
        self.codes.codes = self._codes()
        self.judge(self.draft.problems())
        self._later.call()

    def judge(self, problems: Iterable[Problem]) -> None:
        """Say what is wrong, each beside its field. What is only not filled in yet is said when somebody insists."""
        by_path: dict[str, list[Problem]] = {}
        elsewhere: list[Problem] = []
        for problem in problems:
            if problem.where not in self.controls:
                elsewhere.append(problem)
            elif self._insists or problem.got != _NOTHING or problem.where in self.draft.values:
                by_path.setdefault(problem.where, []).append(problem)
        for path, control in self.controls.items():
            control.complain(by_path.get(path, ()))
        self.wrong.value = problems_html(elsewhere)
        self._mark_sections(by_path)

    def look(self) -> None:
        """Look at what is more than a field: data, models, places. Called when nothing was changed for a moment."""
        self._offer()

    def submit(self) -> None:
        """Do it, and show what came out."""
        self._insists = True
        self.button.disabled = True
        self.button.description = "…"
        try:
            self.act()
            self.judge(())
        except RequestError as error:
            self.judge(error.problems)
            self._open_first_problem(error.problems)
        except LeptonError as error:
            self.wrong.value = problems_html([Problem(str(error))])
        finally:
            self.button.disabled = False
            self.button.description = self.action

    def act(self) -> None:
        """What the button does. Raises the errors of :mod:`lepton_lab.errors`."""
        raise NotImplementedError

    # -- being shown

    def _ipython_display_(self) -> None:
        from IPython.display import display

        bundle = dict(self.widget._repr_mimebundle_())
        # Seen where this page has no widgets, and in a saved notebook there.
        bundle["text/plain"] = self.text()
        bundle["text/html"] = f"<pre>{escape(self.text())}</pre>"
        display(bundle, raw=True)
        self.place.make()

    def text(self) -> str:
        """What stands where the form cannot."""
        return f"{self.title}: a form, for a page with Jupyter widgets. The same as a line:\n{magic_of(self.draft)}"

    def __repr__(self) -> str:
        return f"<form: {command_of(self.draft, '%lepton')}>"

    def _show_live(self, live: Any) -> None:
        """Put the live view of a run under the form until it closes."""
        self.widget.children = (*self.widget.children, live)

        def leave(change: Any) -> None:
            if change["new"] is None:
                self.widget.children = tuple(each for each in self.widget.children if each is not live)

        live.observe(leave, "comm")

    # -- building

    def _build(self) -> None:
        """Make the controls that are not there yet, in tabs by section, rare ones folded."""
        fields = self.draft.fields()
        for path in set(self.controls) - {flag.path for flag in fields}:
            del self.controls[path]
        for flag in fields:
            if flag.path not in self.controls or self.controls[flag.path].flag != flag:
                made = Control(flag, self.draft.values.get(flag.path), self._looks, self._change)
                made.offer(self._candidates(flag))
                self.controls[flag.path] = made
        self._sections = []
        for section in dict.fromkeys(flag.section for flag in fields):
            inside = tuple(flag for flag in fields if flag.section == section)
            self._sections.append((self.section_title(section), inside, self._fold(inside)))
        pages = [
            self._page(section, fold)
            for section, (_, _, fold) in zip(self._section_names(), self._sections, strict=True)
        ]
        self.tabs.children = pages
        self.tabs.titles = tuple(title for title, _, _ in self._sections)
        self.tabs.selected_index = self.tabs.selected_index or 0

    def _section_names(self) -> list[str]:
        return list(dict.fromkeys(flag.section for flag in self.draft.fields()))

    def section_title(self, section: str) -> str:
        """What a tab is called."""
        return SECTION_TITLES.get(section, section.title())

    def _page(self, section: str, fold: Any) -> Any:
        usual = [
            self.controls[flag.path].box
            for flag in self.draft.fields()
            if flag.section == section and not flag.advanced
        ]
        parts = [_grid(usual), *([fold] if fold is not None else [])]
        if section in self.beside:
            parts.append(self.beside[section])
        return ipywidgets.VBox(parts, layout=ipywidgets.Layout(min_width="0"))

    def _fold(self, fields: tuple[Flag, ...]) -> Any:
        rare = [flag for flag in fields if flag.advanced]
        if not rare:
            return None
        title = f"{len(rare)} for rare cases"
        is_open = any(flag.path in self.draft.values for flag in rare)
        inside = _grid([self.controls[flag.path].box for flag in rare])
        return ipywidgets.Accordion([inside], titles=(title,), selected_index=0 if is_open else None)

    def _mark_sections(self, wrong: Mapping[str, list[Problem]]) -> None:
        titles = []
        for title, fields, fold in self._sections:
            count = sum(bool(wrong.get(flag.path)) for flag in fields)
            titles.append(f"{title} ({count} wrong)" if count else title)
            if fold is not None and any(flag.advanced and wrong.get(flag.path) for flag in fields):
                fold.selected_index = 0
        if tuple(titles) != tuple(self.tabs.titles):
            self.tabs.titles = tuple(titles)

    def _open_first_problem(self, problems: Iterable[Problem]) -> None:
        wrong = {problem.where for problem in problems}
        for place, (_, fields, _) in enumerate(self._sections):
            if any(flag.path in wrong for flag in fields):
                self.tabs.selected_index = place
                return

    # -- what may be picked, and code

    def _offer(self) -> None:
        for control in self.controls.values():
            control.offer(self._candidates(control.flag))

    def _candidates(self, flag: Flag) -> list[Candidate]:
        """What Tab would offer for the field, with what stands in the others."""
        if flag.value_type == "bool" or flag.choices:
            return []
        given = {path: str(value) for path, value in self.draft.values.items()}
        return list(FieldValue(flag).candidates("", Typed(self._namespace, given)))

    def _codes(self) -> dict[str, str]:
        draft = self.draft
        return {"Magic": magic_of(draft), "Python": python_of(draft, self._namespace), "YAML": yaml_of(draft)}


class Later:
    """Calls a function once it was not asked again for a moment; at once where no event loop runs."""

    def __init__(self, function: Callable[[], None]) -> None:
        self._function = function
        self._handle: asyncio.TimerHandle | None = None

    def call(self) -> None:
        """Ask for it."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._function()
        else:
            self._handle = loop.call_later(_PAUSE_SECONDS, self._function)


def _grid(boxes: Iterable[Any]) -> Any:
    layout = ipywidgets.Layout(grid_template_columns=_TWO_COLUMNS, grid_gap="2px 28px", width="100%")
    return ipywidgets.GridBox(list(boxes), layout=layout)
