"""How much two focus maps agree: their strongest areas, and the order of all their places."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr

from tamis.analysis.gradcam import FocusMap
from tamis.errors import TamisError

AREA = 0.2
"""Share of a picture that counts as its focus area."""

CHANCE = AREA / (2 - AREA)
"""IoU of two areas of that share that have nothing to do with each other, on average: 0.111."""


@dataclass(frozen=True)
class Agreement:
    """Of two maps of one picture.

    Attributes:
        iou: intersection over union of the focus areas; NaN if neither map has one.
        rank: Spearman's correlation of the maps; NaN if one of them is constant.
    """

    iou: float
    rank: float


def focus_area(focus: FocusMap, share: float = AREA) -> npt.NDArray[np.bool_]:
    """The strongest `share` of a map; less where less of it is above zero.

    Raises:
        TamisError: a share outside 0..1.
    """
    if not 0 < share <= 1:
        raise TamisError(f"the share of a focus area is over 0 and at most 1, not {share}")
    count = round(share * focus.size)
    area = np.zeros(focus.size, bool)
    area[np.argsort(-focus.ravel(), kind="stable")[:count]] = True
    return area.reshape(focus.shape) & (focus > 0)


def compare(one: FocusMap, other: FocusMap) -> Agreement:
    """Agreement of two maps.

    Raises:
        TamisError: maps of different sizes.
    """
    if one.shape != other.shape:
        raise TamisError(f"focus maps of {one.shape} and {other.shape} cannot be compared")
    a, b = focus_area(one), focus_area(other)
    union = int((a | b).sum())
    iou = float((a & b).sum() / union) if union else float("nan")
    constant = np.ptp(one) == 0 or np.ptp(other) == 0
    rank = float("nan") if constant else float(spearmanr(one.ravel(), other.ravel()).statistic)
    return Agreement(iou, rank)
