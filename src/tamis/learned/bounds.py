"""A lower bound and a rounding that do not stop learning: gradients pass where they help."""

import torch


class _LowerBound(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: torch.Tensor, bound: float) -> torch.Tensor:  # type: ignore[no-untyped-def]
        ctx.save_for_backward(x)
        ctx.bound = bound
        return x.clamp(min=bound)

    @staticmethod
    def backward(ctx, gradient: torch.Tensor):  # type: ignore[no-untyped-def]
        (x,) = ctx.saved_tensors
        # Descent subtracts the gradient: a negative one moves x up, out of the forbidden range.
        passes = (x >= ctx.bound) | (gradient < 0)
        return gradient * passes, None


def lower_bound(x: torch.Tensor, bound: float) -> torch.Tensor:
    """`max(x, bound)`, whose gradient also passes below the bound where it moves x upwards.

    A plain clamp has no gradient below its bound, so a parameter that once falls under it never
    comes back (Ballé 2018, reference implementation of GDN).
    """
    result: torch.Tensor = _LowerBound.apply(x, bound)
    return result


def straight_through_round(x: torch.Tensor) -> torch.Tensor:
    """Round to the nearest integer, ties to even; the gradient is the identity's."""
    return x + (x.round() - x).detach()
