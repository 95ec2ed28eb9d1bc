"""Differentiable stand-ins for codecs that have no gradient."""

from tamis.proxies.base import Proxy
from tamis.proxies.coupling import Coupling, RateSlope, RealCodec
from tamis.proxies.registry import get_proxy

__all__ = ["Coupling", "Proxy", "RateSlope", "RealCodec", "get_proxy"]
