"""MediaPipe's pose networks: a detector of persons, and landmarks in each one's own square.

    picture -> letterbox 224 -> SSD detector -> NMS -> hip centre and size of each person
            -> rotated square, 256 -> landmark network -> 33 landmarks -> 17 keypoints of COCO

The steps and their numbers are those of MediaPipe's graphs (modules/pose_detection and
modules/pose_landmark, release 0.10.21); Bazarevsky et al., BlazePose, 2020, arXiv 2006.10204.
"""

import numpy as np
import numpy.typing as npt

from tamis.codecs import Image
from tamis.tasks.litert import LiteRtNetwork
from tamis.tasks.mediapipe_files import POSE_DETECTION, POSE_LANDMARK, network_path
from tamis.tasks.regions import Region

Array = npt.NDArray[np.float32]

COCO_LANDMARKS = (0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)
"""MediaPipe's number of each of COCO's 17 keypoints, nose to right ankle."""

MIN_SCORE = 0.5
"""Of a detection and of a pose's presence."""
MAX_OVERLAP = 0.3
"""IoU of two detections of one person."""
MARGIN = 1.25
"""Side of the square relative to the circle that the detector draws about a person."""
REACH = 3
"""Cells of the heat map on each side of a landmark that refine it."""


class PoseNetwork:
    """Persons in a picture and their keypoints.

    Args:
        most: persons at most, those with the highest scores.

    Raises:
        TamisError: the networks' files are not to be had.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.detector = LiteRtNetwork(network_path(POSE_DETECTION))
        self.landmarks = LiteRtNetwork(network_path(POSE_LANDMARK))
        self._anchors = _anchors(self.detector.size[0])

    def __call__(self, image: Image) -> tuple[Array, Array]:
        """Scores `(n,)`, falling, and keypoints `(n, 17, 3)`: x, y in pixels, visibility 0..1."""
        found = [
            (score * presence, points)
            for region, score in self.regions(image)
            for presence, points in [self.pose(image, region)]
            if presence >= MIN_SCORE
        ]
        found.sort(key=lambda pose: -pose[0])
        scores = np.array([score for score, _ in found], np.float32)
        return scores, np.array([points for _, points in found], np.float32).reshape(-1, 17, 3)

    def regions(self, image: Image) -> list[tuple[Region, float]]:
        """The square about each person and the detector's score, best first."""
        whole = Region.around(image)
        side = self.detector.size[0]
        raw, logits = self.detector(whole.cut(image, side, zero_outside=True) / 127.5 - 1.0)
        places = raw / np.float32(side)
        places[:, :2] += self._anchors
        places[:, 4:] += np.tile(self._anchors, 4)
        scores = _sigmoid(logits[:, 0])
        kept = scores >= MIN_SCORE
        people = merge_overlapping(places[kept], scores[kept])[: self.most]
        return [(_square(whole.to_picture(p[4:8].reshape(2, 2))), score) for p, score in people]

    def pose(self, image: Image, region: Region) -> tuple[float, Array]:
        """Presence 0..1 of a pose in `region`, and its keypoints `(17, 3)`."""
        side = self.landmarks.size[0]
        raw, presence, _, heat, _ = self.landmarks(region.cut(image, side) / 255)
        values = raw.reshape(-1, 5)
        points = refine(values[:, :2] / np.float32(side), heat)[list(COCO_LANDMARKS)]
        visibility = _sigmoid(values[list(COCO_LANDMARKS), 3:4])
        keypoints = np.concatenate([region.to_picture(points), visibility], axis=1)
        return float(presence[0]), keypoints.astype(np.float32)


def _anchors(side: int) -> Array:
    """Centres `(2254, 2)` of the detector's anchors in 0..1: 2 a cell, 6 in the coarsest grid."""
    grids = []
    for stride, each in ((8, 2), (16, 2), (32, 6)):
        steps = (np.arange(side // stride) + 0.5) * stride / side
        cells = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
        grids.append(np.repeat(cells, each, axis=0))
    return np.concatenate(grids).astype(np.float32)


def merge_overlapping(places: Array, scores: Array) -> list[tuple[Array, float]]:
    """Detections `(n, 4 + ...)` (centre x, y, width, height, points) as one for each person.

    Those that overlap the best are averaged with it by their scores; its score stays.
    """
    people = []
    left = np.argsort(-scores, kind="stable")
    while len(left):
        same = _iou(places[left[0]], places[left]) > MAX_OVERLAP
        same[0] = True
        group = left[same]
        mean = np.average(places[group], axis=0, weights=scores[group]).astype(np.float32)
        people.append((mean, float(scores[left[0]])))
        left = left[~same]
    return people


def _iou(box: Array, boxes: Array) -> Array:
    low = np.maximum(box[:2] - box[2:4] / 2, boxes[:, :2] - boxes[:, 2:4] / 2)
    high = np.minimum(box[:2] + box[2:4] / 2, boxes[:, :2] + boxes[:, 2:4] / 2)
    shared = (high - low).clip(0).prod(axis=1)
    union = box[2:4].prod() + boxes[:, 2:4].prod(axis=1) - shared
    ratio: Array = shared / np.maximum(union, 1e-12)
    return ratio


def _square(points: npt.NDArray[np.float64]) -> Region:
    """The square about a person from the hips' centre and a point above on the circle."""
    centre, above = points
    across, down = above - centre
    side = 2 * float(np.hypot(across, down)) * MARGIN
    angle = np.pi / 2 - np.arctan2(-down, across)
    return Region(float(centre[0]), float(centre[1]), side, float(angle))


def refine(points: Array, heat: Array) -> Array:
    """Landmarks `(n, 2)` in 0..1 moved to the centre of mass of `heat`, `(H, W, n or more)`, near.

    Where the heat map nowhere near reaches a probability of a half, a landmark stays.
    """
    height, width = heat.shape[:2]
    refined = points.copy()
    for i, (x, y) in enumerate(points):
        column, row = int(x * width), int(y * height)
        if not (0 <= column < width and 0 <= row < height):
            continue
        top, left = max(0, row - REACH), max(0, column - REACH)
        near = heat[top : row + REACH + 1, left : column + REACH + 1, i]
        mass = _sigmoid(near)
        if mass.max() < 0.5:
            continue
        rows, columns = np.indices(mass.shape)
        refined[i] = (
            ((columns + left) * mass).sum() / mass.sum() / width,
            ((rows + top) * mass).sum() / mass.sum() / height,
        )
    return refined


def _sigmoid(logits: Array) -> Array:
    ratio: Array = 1 / (1 + np.exp(-logits.clip(-60, 60)))
    return ratio
