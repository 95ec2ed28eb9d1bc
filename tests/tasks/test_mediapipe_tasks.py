"""MediaPipe's pose and person segmentation on photos: persons found, outputs kept, black boxes."""

import pickle

import numpy as np
import pytest

from tamis.codecs import Image, get_codec
from tamis.data.annotations import Annotations
from tamis.errors import TamisError
from tamis.tasks import get_differentiable, get_task
from tamis.tasks.base import PooledTask
from tamis.tasks.mediapipe_pose import MediaPipePose
from tamis.tasks.mediapipe_segmenter import MediaPipeSegmenter
from tamis.tasks.pose_network import merge_overlapping, refine


@pytest.fixture(scope="module")
def pose() -> MediaPipePose:
    try:
        return MediaPipePose()
    except TamisError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def segmenter() -> MediaPipeSegmenter:
    try:
        return MediaPipeSegmenter()
    except TamisError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def astronaut(named_photos: dict[str, Image]) -> Image:
    """A person to the waist, 512 by 512; her face is at (225, 115)."""
    return named_photos["astronaut"]


@pytest.fixture(scope="module")
def nobody(named_photos: dict[str, Image]) -> Image:
    """A rocket before a clear sky; of a cup or a cat the segmenter thinks as of a person."""
    return named_photos["rocket"]


def test_a_person_is_found_where_she_is(pose: MediaPipePose, astronaut: Image) -> None:
    found = pose.find(astronaut)
    assert len(found) == 1 and found.scores[0] > 0.5
    assert found.keypoints is not None
    joints = found.keypoints[0]
    nose, left_shoulder, right_shoulder = joints[0], joints[5], joints[6]
    assert nose[:2] * 512 == pytest.approx([225, 120], abs=25)
    # Her left is on the picture's right; both shoulders are below the nose.
    assert left_shoulder[0] > nose[0] > right_shoulder[0]
    assert min(left_shoulder[1], right_shoulder[1]) > nose[1]
    # Her feet are not in the picture.
    assert (joints[15:, 2] == 0).all()


def test_a_person_is_found_at_another_size_and_place(pose: MediaPipePose, astronaut: Image) -> None:
    def nose(image: Image) -> np.ndarray:
        keypoints = pose.find(image).keypoints
        assert keypoints is not None and len(keypoints) == 1
        height, width = image.shape[:2]
        return keypoints[0, 0, :2] * [width, height]

    shifted = np.pad(astronaut, ((0, 0), (200, 0), (0, 0)), mode="edge")
    assert nose(shifted) - [200, 0] == pytest.approx(nose(astronaut), abs=12)
    assert 2 * nose(astronaut[::2, ::2]) == pytest.approx(nose(astronaut), abs=12)


def test_where_nobody_is_there_is_no_agreement(
    pose: MediaPipePose, segmenter: MediaPipeSegmenter, nobody: Image
) -> None:
    rows = pose.predict([nobody])
    assert len(pose.packing.unpack(rows[0])[0]) == 0
    assert np.isnan(pose.score(rows, rows)["oks"]).all()
    masks = segmenter.predict([nobody])
    scores = segmenter.score(masks, masks)
    assert np.isnan(scores["soft_iou"]).all() and scores["change"].tolist() == [0]


def test_the_mask_covers_the_person(segmenter: MediaPipeSegmenter, astronaut: Image) -> None:
    mask = segmenter.predict([astronaut]).reshape(256, 256)
    assert mask.min() >= 0 and mask.max() <= 1
    face, chest, wall = mask[40:70, 100:125], mask[150:200, 90:130], mask[5:40, 5:30]
    assert face.mean() > 0.9 and chest.mean() > 0.9
    assert wall.mean() < 0.1


@pytest.mark.parametrize("name", ["keypoints", "segment"])
def test_a_coarser_jpeg_agrees_less(
    name: str, request: pytest.FixtureRequest, astronaut: Image
) -> None:
    task = request.getfixturevalue({"keypoints": "pose", "segment": "segmenter"}[name])
    codec, reference = get_codec("jpeg"), task.predict([astronaut])
    headline = next(iter(task.measures))
    assert task.measures[headline].smooth
    values = [
        task.score(task.predict([codec.decode(codec.encode(astronaut, q))]), reference)[headline][0]
        for q in (5, 90)
    ]
    assert 1 > values[1] > values[0]
    assert task.score(reference, reference)[headline][0] == pytest.approx(1, abs=1e-6)


def test_they_pool_and_travel_but_have_no_gradient(
    pose: MediaPipePose, segmenter: MediaPipeSegmenter, astronaut: Image
) -> None:
    for task in (pose, segmenter):
        assert isinstance(task, PooledTask)
        rows = task.predict([astronaut])
        assert list(task.pool(task.records(rows, rows))) == list(task.pooled)
        assert np.array_equal(pickle.loads(pickle.dumps(task)).predict([astronaut]), rows)
        assert get_task(task.name).name == task.name
        with pytest.raises(TamisError, match=f"{task.name} has no gradient") as caught:
            get_differentiable(task.name)
        assert "\n" not in str(caught.value)


def test_protocol_model_codes_what_the_networks_read(
    pose: MediaPipePose, segmenter: MediaPipeSegmenter, nobody: Image
) -> None:
    assert max(pose.prepare(nobody).shape[:2]) == 256
    prepared = segmenter.prepare(nobody)
    assert prepared.shape == (256, 256, 3)
    assert np.array_equal(segmenter.predict([prepared]), segmenter.predict([nobody]))


def test_detections_of_one_person_become_their_mean() -> None:
    # Centre x, y, width, height: two on each other, one apart.
    places = np.array([[0.5, 0.5, 0.2, 0.2], [0.52, 0.5, 0.2, 0.2], [0.1, 0.1, 0.1, 0.1]], "f4")
    people = merge_overlapping(places, np.array([0.6, 0.9, 0.7], np.float32))
    assert [round(score, 2) for _, score in people] == [0.9, 0.7]
    assert people[0][0][0] == pytest.approx((0.6 * 0.5 + 0.9 * 0.52) / 1.5)


def test_a_landmark_moves_to_the_heat_about_it() -> None:
    heat = np.full((64, 64, 2), -20, np.float32)
    heat[30, 33, 0] = 20
    points = np.array([[0.5, 0.5], [0.5, 0.5]], np.float32)
    moved = refine(points, heat)
    assert moved[0] == pytest.approx([33 / 64, 30 / 64], abs=1e-4)
    assert moved[1] == pytest.approx([0.5, 0.5])


def test_labels_count_where_they_mark_a_person(
    segmenter: MediaPipeSegmenter, astronaut: Image
) -> None:
    rows = segmenter.predict([astronaut])

    def label(kind: int) -> Annotations:
        half = [[0.0, 256.0, 512.0, 256.0, 512.0, 512.0, 0.0, 512.0]]
        return Annotations(
            512,
            512,
            np.array([[0, 0.5, 1, 1]], np.float32),
            np.array([kind]),
            np.zeros(1, np.bool_),
            np.array([512 * 256], np.float32),
            (half,),
        )

    person, dog = (segmenter.score(rows, rows, [label(kind)])["iou_labels"][0] for kind in (0, 16))
    assert 0.3 < person < 1
    # Whether a photo counts must not depend on what is found in it at some quality.
    assert np.isnan(dog)
    pooled = segmenter.pool(segmenter.records(rows, rows, [label(0)]))
    assert 0.3 < pooled["miou_labels"] < 1
