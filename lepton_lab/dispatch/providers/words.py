"""Options of a provider as people write them: ``slurm:queue=gpu,workers=4``, flags, or YAML; and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from ...errors import Problem, RequestError
from ...recipe.flags import section_flags
from ...recipe.naming import unknown_option
from ...recipe.parse import problem_of

if TYPE_CHECKING:
    from .provider import ProviderOptions

    Options = TypeVar("Options", bound=ProviderOptions)


def read_options(model: type[Options], text: str, main_option: str = "", what: str = "the cluster") -> Options:
    """``queue=gpu,workers=4`` as options; a part without a name belongs to ``main_option``.

    Raises :class:`RequestError` with every problem.
    """
    values: dict[str, Any] = {}
    problems = []
    names = {name.replace("-", "_"): flag for flag in section_flags(model) for name in flag.names}
    for part in filter(None, (each.strip() for each in text.split(","))):
        name, equals, value = part.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or (name not in names and main_option and not name.isidentifier()):
            name, value = main_option, part
        if not name:
            problems.append(Problem(f"{what} takes options as NAME=VALUE", repr(part), "Write for example workers=2."))
            continue
        flag = names.get(name)
        if flag is not None and flag.many:
            values.setdefault(flag.path, []).append(value.strip())
        else:
            values[flag.path if flag else name] = value.strip()
    return make_options(model, values, problems)


def make_options(model: type[Options], values: Mapping[str, Any], problems: list[Problem] | None = None) -> Options:
    """Options from values by name. Raises :class:`RequestError` with ``problems`` and every further one."""
    found = list(problems or [])
    flags = section_flags(model)
    known = {flag.path for flag in flags}
    found += [unknown_option(name, known) for name in values if name not in known]
    try:
        options = model.model_validate({name: value for name, value in values.items() if name in known})
    except ValidationError as error:
        found += [problem_of(dict(each), flags) for each in error.errors()]
    if found:
        raise RequestError(*{(problem.what, problem.where): problem for problem in found}.values())
    return options


def plain_options(options: ProviderOptions) -> dict[str, Any]:
    """What differs from the defaults, as values that YAML and JSON hold."""
    return options.model_dump(mode="json", exclude_defaults=True)
