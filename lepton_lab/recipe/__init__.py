"""The plan: one schema that flags, forms, YAML and the reference derive from."""

from .benchmark import BenchmarkConfig
from .compile import CompileConfig
from .data import DataConfig
from .dimensions import Dimension, dimensions_of, grid_of, read_search, with_values
from .flags import Flag, flags
from .naming import kinds_with, nearest, one_of
from .parse import build_recipe, recipe_from_yaml, validate_recipe
from .peft import PeftConfig
from .recipe import SECTIONS_BY_KIND, TRAINING_KINDS, Kind, Recipe
from .resources import ResourcesConfig
from .sweep import SweepConfig
from .train import TrainConfig

__all__ = [
    "SECTIONS_BY_KIND",
    "TRAINING_KINDS",
    "BenchmarkConfig",
    "CompileConfig",
    "DataConfig",
    "Dimension",
    "Flag",
    "Kind",
    "PeftConfig",
    "Recipe",
    "ResourcesConfig",
    "SweepConfig",
    "TrainConfig",
    "build_recipe",
    "dimensions_of",
    "flags",
    "grid_of",
    "kinds_with",
    "nearest",
    "one_of",
    "read_search",
    "recipe_from_yaml",
    "validate_recipe",
    "with_values",
]
