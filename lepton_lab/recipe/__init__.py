"""The plan: one schema that flags, forms, YAML and the reference derive from."""

from .benchmark import BenchmarkConfig
from .compile import CompileConfig
from .data import DataConfig
from .flags import Flag, flags
from .naming import nearest
from .parse import build_recipe, recipe_from_yaml, validate_recipe
from .peft import PeftConfig
from .recipe import Kind, Recipe
from .resources import ResourcesConfig
from .train import TrainConfig

__all__ = [
    "BenchmarkConfig",
    "CompileConfig",
    "DataConfig",
    "Flag",
    "Kind",
    "PeftConfig",
    "Recipe",
    "ResourcesConfig",
    "TrainConfig",
    "build_recipe",
    "flags",
    "nearest",
    "recipe_from_yaml",
    "validate_recipe",
]
