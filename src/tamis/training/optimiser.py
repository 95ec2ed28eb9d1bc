"""The optimisers that training can use."""

import torch
from pytorch_optimizer import SOAP

from tamis.training.recipe import OptimiserRecipe

PRECONDITION_EVERY = 10
"""Steps between SOAP's updates of its eigenbasis (its authors' choice)."""

WIDEST = 1024
"""Sides of a weight above this keep their own basis: an eigenbasis costs the cube of the side."""


def optimiser(model: torch.nn.Module, settings: OptimiserRecipe) -> torch.optim.Optimizer:
    """The optimiser that `settings` name, for all parameters of `model`.

    The layers of a transform couple its channels (GDN above all), so the curvature is far from
    diagonal, which is all that Adam sees of it. SOAP is Adam in a basis where it nearly is.
    """
    if settings.method == "adam":
        return torch.optim.Adam(model.parameters(), settings.learning_rate)
    soap: torch.optim.Optimizer = SOAP(
        model.parameters(),
        settings.learning_rate,
        weight_decay=0.0,
        precondition_frequency=PRECONDITION_EVERY,
        max_precondition_dim=WIDEST,
    )
    return soap
