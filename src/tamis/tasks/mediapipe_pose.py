"""Poses by MediaPipe (`keypoints:mediapipe`): a black box, scored by OKS and PCK."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tamis.codecs import Image
from tamis.data.annotations import Label
from tamis.tasks.base import Measure, Predictions, Record
from tamis.tasks.detections import Detections, Packing
from tamis.tasks.keypoint_scoring import MEASURES, POOLED, PoseScoring
from tamis.tasks.pixels import resize
from tamis.tasks.pose_network import PoseNetwork

MOST = 8
"""People looked for in a picture; the networks are made for one or a few."""

SEEN = 0.5
"""A joint of lower visibility is kept as not marked: it is compared with nothing."""

SIDE = 256
"""Longer side of what protocol `model` codes: the input of the landmark network."""


class MediaPipePose:
    """MediaPipe's pose networks on whole photos, up to 8 people; no gradients.

    A photo on whose original nobody is found has no agreement measures (NaN).

    Attributes:
        name: the spec.
    """

    name = "keypoints:mediapipe"
    measures: Mapping[str, Measure] = MEASURES
    pooled: Mapping[str, Measure] = POOLED

    def __init__(self) -> None:
        self.network = PoseNetwork(MOST)
        self.packing = Packing(MOST, keypoints=True)
        self._scoring = PoseScoring(self.packing)

    def prepare(self, image: Image) -> Image:
        """The whole image, its longer side 256 pixels."""
        height, width = image.shape[:2]
        scale = SIDE / max(height, width)
        return resize(image, max(1, round(width * scale)), max(1, round(height * scale)))

    def predict(self, images: Sequence[Image]) -> Predictions:
        """Rows of packed poses, see `tamis.tasks.detections.Packing`."""
        sizes = [(image.shape[1], image.shape[0]) for image in images]
        return self.packing.pack_all([self.find(image) for image in images], sizes)

    def find(self, image: Image) -> Detections:
        """The people in `image`; a box spans the joints that are seen."""
        scores, joints = self.network(image)
        height, width = image.shape[:2]
        joints[..., :2] /= np.array([width, height], np.float32)
        joints[..., 2] *= joints[..., 2] >= SEEN
        return Detections(_boxes(joints), scores, np.zeros(len(scores), np.int64), None, joints)

    def score(
        self,
        predictions: Predictions,
        reference: Predictions,
        labels: Sequence[Label] | None = None,
    ) -> dict[str, npt.NDArray[np.float64]]:
        """OKS and PCK for every image, `(N,)`."""
        return self._scoring.score(predictions, reference, labels)

    def records(
        self,
        predictions: Predictions,
        reference: Predictions,
        labels: Sequence[Label] | None = None,
    ) -> list[Record]:
        """What `pool` needs to know of each image."""
        return self._scoring.records(predictions, reference, labels)

    def pool(self, records: Sequence[Record]) -> dict[str, float]:
        """OKS-AP over a set of images."""
        return self._scoring.pool(records)


def _boxes(joints: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Left, top, right, bottom of the joints seen, or of all where none is, `(n, 4)`."""
    seen = joints[..., 2] > 0
    seen |= ~seen.any(axis=1, keepdims=True)
    places = np.where(seen[..., None], joints[..., :2], np.nan)
    corners = [np.nanmin(places, axis=1), np.nanmax(places, axis=1)] if len(joints) else []
    boxes = np.concatenate(corners, axis=1) if corners else np.zeros((0, 4))
    return boxes.clip(0, 1).astype(np.float32)
