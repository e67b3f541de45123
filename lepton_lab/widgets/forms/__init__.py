"""Forms: a command to fill in under a cell, built from the schema of its fields. Widgets are loaded when one opens."""

from __future__ import annotations

import sys
from collections import ChainMap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from ...commands.drafts import ClusterDraft, Draft, RecipeDraft
from ...commands.form import FormAsked
from ...lab import name_frames
from ...recipe import SECTIONS_BY_KIND, Recipe, one_of
from ..hosts import find_host

if TYPE_CHECKING:
    from .body import Form

__all__ = ["form", "open_form"]


def form(what: str | Recipe = "train", **options: Any) -> Form | FormAsked:
    """A form to fill in: ``form("train", task=…, lr=…)``, ``form("cluster", provider="ssh")``, ``form(run.recipe)``.

    ``what`` is a kind of recipe (``train``, ``sweep``, ``compile``, ``benchmark``), ``cluster``, or a recipe to begin
    with. Options fill it in; ``dataset`` may be a data frame. The result has ``draft`` and, once something was
    started, ``run``. Where no form can open it is a text with the commands. Raises
    :class:`~lepton_lab.errors.RequestError` for unknown names; values that are wrong are said in the form.
    """
    from ...errors import Problem, RequestError

    options, namespace = _find_frames(options, _notebook())
    if isinstance(what, Recipe):
        begun: Mapping[str, Any] = RecipeDraft.of_recipe(what).values
        return open_form(RecipeDraft.read(what.kind, {**begun, **options}), namespace)
    if what == "cluster":
        names = {"name": "saved_name"}
        return open_form(ClusterDraft(values={names.get(key, key): each for key, each in options.items()}), namespace)
    if what not in SECTIONS_BY_KIND:
        known = one_of((*SECTIONS_BY_KIND, "cluster"))
        raise RequestError(Problem(f"a form is for {known}", repr(what), 'For example: lepton_lab.form("train")'))
    return open_form(RecipeDraft.read(what, options), namespace)


def open_form(draft: Draft, namespace: Mapping[str, Any] | None, program: str = "lepton") -> Form | FormAsked:
    """The form of a draft where the page can talk back; elsewhere the commands that do the same."""
    host = find_host()
    if host.live == "none":
        return FormAsked(draft, namespace, program, f"{host.name}, because {host.reason}")
    if isinstance(draft, ClusterDraft):
        from .cluster_form import ClusterForm

        return ClusterForm(draft, namespace or {})
    from .recipe_form import RecipeForm

    return RecipeForm(cast(RecipeDraft, draft), namespace or {})


def _find_frames(options: Mapping[str, Any], namespace: Mapping[str, Any]) -> tuple[dict[str, Any], Mapping[str, Any]]:
    """Options with data frames by the names that they have in the notebook, and where all of them can be found."""
    named, given = name_frames(options)
    unknown = {}
    for option, frame in given.items():
        names = [name for name, value in namespace.items() if value is frame and not name.startswith("_")]
        if names:
            named[option] = f"var:{names[0]}"
        else:
            unknown[option] = frame
    return named, ChainMap(unknown, dict(namespace)) if unknown else namespace


def _notebook() -> Mapping[str, Any]:
    """The variables of the notebook, if this is one."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return {} if shell is None else shell.user_ns
