"""Training: a recipe in, a preprocessor with weights, ONNX and model card out. Needs `lab`."""

from tamis.training.preprocessor import train_preprocessor
from tamis.training.recipe import Recipe, load_recipe

__all__ = ["Recipe", "load_recipe", "train_preprocessor"]
