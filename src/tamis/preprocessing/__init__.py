"""Filters in front of the encoder: image, codec and quality in, the image to encode out. No torch.

Networks live in `tamis.preprocessing.network` and `.module` (torch), trained models run through
`.runtime` (ONNX Runtime); the registry imports them when a spec asks for them.
"""

from tamis.preprocessing.base import Preprocessor
from tamis.preprocessing.chain import Chain
from tamis.preprocessing.registry import get_preprocessor, list_preprocessors

__all__ = ["Chain", "Preprocessor", "get_preprocessor", "list_preprocessors"]
