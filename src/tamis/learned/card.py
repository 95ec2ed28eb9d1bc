"""The model card of a learned codec: one model at one rate. No torch."""

from typing import Any, Literal

from pydantic import Field

from tamis.card import Hash, ModelCard


class Card(ModelCard):
    """`card.yaml` of a learned codec's directory.

    `metrics["kodak"]["bpp"]`, where there is one, is the mean rate of real streams on Kodak.

    Attributes:
        model: the model, a name of `tamis.learned.models.list_models()`.
        n: channels of its transforms and of z.
        m: channels of its latent y.
        context_channels: channels of y coded with context, for hybrid models.
        lambda_: weight of the distortion in training, `lambda` on the card; this and the two
            below are None for models that were trained elsewhere.
        metric: the distortion it was trained for.
        steps: optimizer steps of its training, all stages together.
        fingerprint: SHA-256 of everything its decoder needs; streams begin with it.
    """

    model: str
    n: int = Field(gt=0)
    m: int = Field(gt=0)
    context_channels: int | None = None
    lambda_: float | None = Field(gt=0, alias="lambda")
    metric: Literal["mse", "ms-ssim"] | None
    steps: int | None = Field(ge=0)
    fingerprint: Hash

    @property
    def bpp(self) -> float | None:
        """Mean rate on Kodak as measured, in bits per pixel."""
        kodak: Any = self.metrics.get("kodak")
        return float(kodak["bpp"]) if isinstance(kodak, dict) and "bpp" in kodak else None
