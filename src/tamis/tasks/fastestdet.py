"""What FastestDet's numbers mean: https://github.com/dog-qiuqiu/FastestDet.

Its one output, `(N, 85, 22, 22)` for a picture of 352x352, says of each cell of a grid

    0        objectness, a sigmoid in the graph
    1, 2     offset of a box's centre from the cell's corner, before a tanh, in cells
    3, 4     width and height, before a sigmoid, relative to the picture
    5..84    COCO's 80 classes, a softmax in the graph

and the score of a box is objectness^0.6 x class^0.4.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torchvision.ops import batched_nms

from tamis.tasks.detections import Detections

FAINTEST = 0.05
"""Boxes of a lower score are dropped before they are compared with each other."""

SAME = 0.45
"""Boxes of one class that overlap more are one object."""


def fastestdet(outputs: Sequence[npt.NDArray[np.float32]]) -> list[Detections]:
    """The detections of each picture, from the network's output `(N, 85, rows, columns)`."""
    return [_detections(torch.from_numpy(cells)) for cells in outputs[0]]


def _detections(cells: torch.Tensor) -> Detections:
    _, rows, columns = cells.shape
    chance, kinds = cells[5:].max(dim=0)
    scores = (cells[0] ** 0.6 * chance**0.4).flatten()
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    centre = torch.stack([(x + cells[1].tanh()) / columns, (y + cells[2].tanh()) / rows], dim=-1)
    half = cells[3:5].sigmoid().permute(1, 2, 0) / 2
    boxes = torch.cat([centre - half, centre + half], dim=-1).clamp(0, 1).reshape(-1, 4)
    kinds = kinds.flatten()
    (seen,) = torch.nonzero(scores > FAINTEST, as_tuple=True)
    seen = seen[batched_nms(boxes[seen], scores[seen], kinds[seen], SAME)]
    return Detections(boxes[seen].numpy(), scores[seen].numpy(), kinds[seen].numpy())
