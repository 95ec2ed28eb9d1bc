"""Training: a recipe in, a preprocessor with weights, ONNX and model card out. Needs `lab`.

`tamis.training.preprocessor.train_preprocessor` is imported from its module: Lightning takes
seconds to import, and reading a recipe needs neither it nor torch.
"""

from tamis.training.recipe import Recipe, load_recipe

__all__ = ["Recipe", "load_recipe"]
