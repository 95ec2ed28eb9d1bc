"""The preprocessor `default`: the shipped model trained for the codec at hand. No torch."""

from collections.abc import Sequence
from pathlib import Path

from tamis.codecs import Codec, Image
from tamis.errors import TamisError
from tamis.preprocessing.runtime import OnnxPreprocessor
from tamis.preprocessing.zoo import ZOO, list_cards, load


class DefaultPreprocessor:
    """Picks, among the models named `default-...`, the one whose card covers the codec.

    Cards are read when it is made, weights when a codec first needs them.

    Args:
        threads: threads of one run; 0 lets ONNX Runtime take every core.
        keep_size: do not let a model pick the resolution.
        zoo: directory of the models.
    """

    def __init__(self, threads: int = 0, keep_size: bool = False, zoo: Path = ZOO) -> None:
        self.name = "default:scale=keep" if keep_size else "default"
        self.threads = threads
        self.keep_size = keep_size
        self.zoo = zoo
        cards = [card for card in list_cards(zoo) if card.name.startswith("default-")]
        self.models = {codec: card.name for card in reversed(cards) for codec in card.codecs}
        self._loaded: dict[str, OnnxPreprocessor] = {}

    def __call__(self, image: Image, codec: Codec, quality: int) -> Image:
        """Filter one image with the model of `codec`.

        Raises:
            TamisError: no shipped model covers the codec or the quality.
        """
        return self.model(codec)(image, codec, quality)

    def batch(self, images: Sequence[Image], codec: Codec, quality: int) -> list[Image]:
        """Filter several images with the model of `codec`."""
        return self.model(codec).batch(images, codec, quality)

    def model(self, codec: Codec) -> OnnxPreprocessor:
        """The model for `codec`, loaded once.

        Raises:
            TamisError: no shipped model covers the codec.
        """
        if codec.name not in self.models:
            known = ", ".join(sorted(self.models)) or "no codec at all"
            raise TamisError(
                f"no shipped default preprocessor covers codec {codec.name}; they cover {known}"
            )
        name = self.models[codec.name]
        if name not in self._loaded:
            self._loaded[name] = load(name, self.threads, self.keep_size, self.zoo)
        return self._loaded[name]
