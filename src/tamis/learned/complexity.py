"""What a learned model costs: parameters, and multiply-accumulates per pixel."""

import torch
from torch import Tensor, nn

from tamis.learned.context import CausalConvolution
from tamis.learned.gdn import GDN
from tamis.learned.models import LearnedModel
from tamis.preprocessing.complexity import Complexity, layer_macs, measure


def complexity(model: LearnedModel, side: int = 256) -> Complexity:
    """Count what encoding and decoding one `side x side` picture takes, every network once.

    Convolutions, those of the context at the positions it sees, and the sums of GDN count; the
    tables of the entropy coder, additions and activations do not.
    """
    x = torch.zeros(1, 3, side, side, device=next(model.parameters()).device)
    return measure(model, lambda: model(x), _macs, side**2)


def _macs(layer: nn.Module, x: Tensor, y: Tensor) -> int:
    if isinstance(layer, GDN):  # a 1x1 convolution of the squares
        return y.numel() * layer.gamma.shape[0]
    if isinstance(layer, CausalConvolution):
        return y.numel() * layer.weight.shape[1] * len(layer.window.offsets)
    return layer_macs(layer, x, y)
