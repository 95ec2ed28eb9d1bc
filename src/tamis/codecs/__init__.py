"""Real encoders and decoders: images in, standard files out. Imports no torch."""

from tamis.codecs.base import Codec, Image, QualityScale, bpp
from tamis.codecs.registry import decode, get_codec, list_codecs, sniff

__all__ = ["Codec", "Image", "QualityScale", "bpp", "decode", "get_codec", "list_codecs", "sniff"]
