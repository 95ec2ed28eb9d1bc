"""Which proxy stands in for which codec."""

from tamis.codecs import Codec
from tamis.codecs.jpeg import Jpeg
from tamis.errors import TamisError
from tamis.proxies.base import Proxy
from tamis.proxies.intra import IntraProxy
from tamis.proxies.jpeg import JpegProxy

INTRA_CODECS = ("bpg", "hevc", "vvc")


def get_proxy(codec: Codec, leak: float = 0.0) -> Proxy:
    """The analytic (`dct`) proxy of `codec`.

    Args:
        codec: the codec it stands in for.
        leak: share of the identity in the gradient of rounding, see `transforms.soft_index`: none
            to train a filter; some to refine one photo, whose coefficients then cross a bin.

    Raises:
        TamisError: no analytic proxy models this codec.
    """
    if isinstance(codec, Jpeg):
        return JpegProxy(codec, leak)
    if codec.name in INTRA_CODECS:
        return IntraProxy(codec, leak)
    raise TamisError(
        f"there is no proxy for {codec.name}; proxies exist for jpeg, {', '.join(INTRA_CODECS)}"
    )
