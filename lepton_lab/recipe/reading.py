"""Reads YAML as people write it, and says where it is wrong."""

from __future__ import annotations

from typing import Any

import yaml

from ..errors import Problem, RecipeError
from .option import short


class _Loader(yaml.SafeLoader):
    """Plain values only; a key that stands twice is an error, not the last of both."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping whose keys differ."""
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"{key.value} stands there twice", key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_yaml(text: str) -> dict[str, Any]:
    """The mapping that ``text`` holds, empty for nothing. Raises :class:`RecipeError`."""
    try:
        # _Loader is a SafeLoader: it makes plain values and runs nothing.
        values = yaml.load(text, _Loader)  # noqa: S506
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise RecipeError(Problem("the recipe is not YAML", _place(error), "Mend it there.")) from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        do = "Write a name and a value on each line, for example task: text-classification."
        got = "a list" if isinstance(values, list) else f"the value {short(values)}"
        raise RecipeError(Problem("a recipe is a mapping of names to values", got, do))
    return {str(key): value for key, value in values.items()}


def _place(error: Exception) -> str:
    """What is wrong, and in which line."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem:
        mark = error.problem_mark or error.context_mark
        return f"{error.problem} in line {mark.line + 1}, column {mark.column + 1}" if mark else error.problem
    return " ".join(str(error).split())
