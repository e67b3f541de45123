"""The code of a form, with a button that copies it: what a widget of the kernel alone cannot do."""

from __future__ import annotations

from pathlib import Path

import anywidget
import traitlets


class CodePanel(anywidget.AnyWidget):  # type: ignore[misc]
    """``codes`` by title; ``shown`` is the title of the one that is seen, or empty while the panel is folded."""

    _esm = Path(__file__).parent / "code_panel.js"
    codes = traitlets.Dict(traitlets.Unicode()).tag(sync=True)
    shown = traitlets.Unicode().tag(sync=True)
