"""The form of ``cluster use``: where runs go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ... import lab
from ...commands.drafts import ClusterDraft
from ...commands.results import pairs_text
from ...dispatch.providers.prices import payer, price_of
from ...dispatch.providers.provider import Provider
from ...dispatch.providers.words import make_options
from ...errors import Problem, RequestError
from ...registry import load_provider
from .body import Form
from .pages import quiet_html, text_html


class ClusterForm(Form):
    """A provider, its options, and what it would submit."""

    draft: ClusterDraft
    title = "Choose where runs go"
    action = "Send runs there"
    sections_with_a_page = ("",)

    def __init__(self, draft: ClusterDraft, namespace: Mapping[str, Any]) -> None:
        self.told: dict[str, Any] = {}
        super().__init__(draft, namespace)

    def section_title(self, section: str) -> str:
        """There is one."""
        return "Cluster"

    def look(self) -> None:
        """What would be submitted, what it costs, and what is missing for it."""
        super().look()
        wrong = self.draft.problems()
        provider = load_provider(self.draft.provider)
        shown = f"{provider.summary[0].upper()}{provider.summary[1:]}."
        rendered = ""
        if not wrong:
            options = make_options(provider.options, self.draft.options())
            missing = provider.missing()
            what = f"{provider.name} needs {', '.join(missing)}"
            wrong = [Problem(what, do=f"Run: {provider.install_command()}")] if missing else provider.check(options)
            price = price_of(provider, options)
            shown += f" {price.text()}, paid by {payer(provider)}." if price is not None else ""
            rendered = "" if missing else _rendered(provider, options)
        self.beside[""].value = text_html(rendered.rstrip(), "What would be submitted") if rendered else ""
        self.state.value = quiet_html(shown)
        self.judge(wrong)

    def act(self) -> None:
        """Save it and make it the place of runs; nothing is started."""
        problems = self.draft.problems()
        if problems:
            raise RequestError(*problems)
        name = self.draft.name if "saved_name" in self.draft.values else None
        self.told = lab.use_cluster(self.draft.provider, name=name, **self.draft.options())
        shown = pairs_text((key.replace("_", " "), str(value)) for key, value in self.told.items() if value)
        self.state.value = text_html(shown, "Runs that name no cluster go here from now on")


def _rendered(provider: Provider, options: Any) -> str:
    try:
        return provider.render(options)
    except Exception:  # noqa: BLE001 - the library of a cluster may refuse in any way; what is wrong is said beside it
        return ""
