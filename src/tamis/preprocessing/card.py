"""The model card of a preprocessor: its network and the codecs it was trained for."""

from typing import Annotated

from pydantic import Field

from tamis.card import ModelCard

ONNX = "model.onnx"

Factor = Annotated[float, Field(gt=0, le=1)]


class Card(ModelCard):
    """`card.yaml` of a preprocessor's directory.

    Attributes:
        network: the network its weights belong to.
        codecs: lowest and highest quality trained for, by codec name.
        scale: for models that also pick the resolution: by codec name, factor by quality.
        cutoff: by codec name, fraction of the Nyquist frequency by quality above which the photo
            is emptied before the network sees it.
        smallest_side: scale and cutoff leave the detail of a picture whose shorter side has so
            many pixels; a smaller photo is neither scaled nor emptied.
        multiple: heights and widths it takes are multiples of this.
        halo: how far an output pixel looks, in pixels.
    """

    network: str
    codecs: dict[str, tuple[int, int]] = Field(min_length=1)
    scale: dict[str, dict[int, Factor]] = Field(default={})
    cutoff: dict[str, dict[int, Factor]] = Field(default={})
    smallest_side: int = Field(default=0, ge=0)
    multiple: int = Field(gt=0)
    halo: int = Field(ge=0)
