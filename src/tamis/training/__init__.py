"""Training: a recipe in, a preprocessor or a learned codec with its model card out. Needs `lab`.

`tamis.training.preprocessor.train_preprocessor` and `tamis.training.codec.train_codec` are imported
from their modules: Lightning takes seconds to import, and reading a recipe does not need it.
"""

from tamis.training.recipe import Recipe, load_recipe

__all__ = ["Recipe", "load_recipe"]
