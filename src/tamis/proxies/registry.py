"""Which proxy stands in for which codec."""

from tamis.codecs import Codec
from tamis.codecs.jpeg import Jpeg
from tamis.errors import TamisError
from tamis.proxies.base import Proxy
from tamis.proxies.intra import IntraProxy
from tamis.proxies.jpeg import JpegProxy
from tamis.proxies.package import load, shipped

INTRA_CODECS = ("bpg", "hevc", "vvc")


def get_proxy(codec: Codec, leak: float = 0.0, name: str = "dct") -> Proxy:
    """A proxy of `codec`.

    Args:
        codec: the codec it stands in for.
        leak: share of the identity in the gradient of rounding, see `transforms.soft_index`: none
            to train a filter; some to refine one photo, whose coefficients then cross a bin. Of
            the analytic proxy only.
        name: `dct`, the analytic one; `learned`, the one shipped for the codec; or
            `learned:DIRECTORY`.

    Raises:
        TamisError: an unknown name, or no such proxy of this codec.
    """
    kind, _, directory = name.partition(":")
    if kind == "learned":
        return load(directory or shipped(codec), codec)
    if name != "dct":
        raise TamisError(f"unknown proxy '{name}'; known: dct, learned, learned:DIRECTORY")
    if isinstance(codec, Jpeg):
        return JpegProxy(codec, leak)
    if codec.name in INTRA_CODECS:
        return IntraProxy(codec, leak)
    raise TamisError(
        f"there is no proxy for {codec.name}; proxies exist for jpeg, {', '.join(INTRA_CODECS)}"
    )
