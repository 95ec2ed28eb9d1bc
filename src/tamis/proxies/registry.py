"""Which proxy stands in for which codec."""

from tamis.codecs import Codec
from tamis.codecs.jpeg import Jpeg
from tamis.errors import TamisError
from tamis.proxies.base import Proxy
from tamis.proxies.intra import IntraProxy
from tamis.proxies.jpeg import JpegProxy

INTRA_CODECS = ("bpg", "hevc", "vvc")


def get_proxy(codec: Codec, knee: float = 0.5) -> Proxy:
    """The analytic (`dct`) proxy of `codec`.

    Args:
        codec: the codec it stands in for.
        knee: quantization index at which the rate model turns from quadratic to logarithmic.

    Raises:
        TamisError: no analytic proxy models this codec.
    """
    if isinstance(codec, Jpeg):
        return JpegProxy(codec, knee)
    if codec.name in INTRA_CODECS:
        return IntraProxy(codec, knee)
    raise TamisError(
        f"there is no proxy for {codec.name}; proxies exist for jpeg, {', '.join(INTRA_CODECS)}"
    )
