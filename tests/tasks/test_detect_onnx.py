"""ONNX detectors with a decoder: a small one built here, the page's example, FastestDet."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from marked_photos import mark
from onnx import TensorProto, helper, numpy_helper

from tamis.codecs import Image, get_codec
from tamis.data.coco import read_coco
from tamis.data.folders import load_photo
from tamis.errors import TamisError
from tamis.tasks import Detections, DetectOnnx, PooledTask, get_differentiable, get_task
from tamis.tasks.pixels import to_tensor

SIDE, PLACES, CLASSES = 32, 16, 80
PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "your-detector.md"


def write_yolo(path: Path) -> Path:
    """A network that says, in YOLOv8's layout, of each of 4x4 cells how bright it is.

    The score of class 16 is the cell's mean, its box the cell; all other scores are 0.
    """
    cell = SIDE // 4
    weights = np.zeros((4 + CLASSES, 3, cell, cell), np.float32)
    weights[4 + 16] = 1 / (3 * cell * cell)
    centres = np.stack(np.meshgrid(*[np.arange(4)] * 2)) * cell + cell / 2
    boxes = np.zeros((1, 4 + CLASSES, 4, 4), np.float32)
    boxes[0, :2], boxes[0, 2:4] = centres, cell
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["c"], strides=[cell, cell]),
        helper.make_node("Add", ["c", "boxes"], ["cells"]),
        helper.make_node("Reshape", ["cells", "shape"], ["places"]),
    ]
    stored = [
        numpy_helper.from_array(weights, "w"),
        numpy_helper.from_array(boxes, "boxes"),
        numpy_helper.from_array(np.array([1, 4 + CLASSES, PLACES], np.int64), "shape"),
    ]
    graph = helper.make_graph(
        nodes,
        "yolo",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("places", TensorProto.FLOAT, [1, 4 + CLASSES, PLACES])],
        stored,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a user works: a network and the page's `my_detector.py`, for this input size."""
    folder = tmp_path_factory.mktemp("work")
    write_yolo(folder / "yolo.onnx")
    (code,) = re.findall(r"```python\n(import numpy.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    (folder / "my_detector.py").write_text(code.replace("SIDE = 640", f"SIDE = {SIDE}"), "utf-8")
    (folder / "mistaken.py").write_text("def decode(outputs):\n    return outputs[3]\n", "utf-8")
    return folder


@pytest.fixture
def work(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(folder)
    yield folder


@pytest.fixture(scope="module")
def crops(photos: list[Image]) -> list[Image]:
    return [np.ascontiguousarray(photo[40:136, 60:188]) for photo in photos[:3]]


def bright_corner() -> Image:
    """White in the third cell of the second row, 64 pixels wide and 96 high."""
    image = np.zeros((96, 64, 3), np.uint8)
    image[24:48, 32:48] = 255
    return image


def test_the_pages_example_finds_what_is_there(work: Path) -> None:
    task = get_task("detect:yolo.onnx:decoder=my_detector.decode")
    assert isinstance(task, DetectOnnx) and isinstance(task, PooledTask)
    found, width, height = task.scoring.packing.unpack(task.predict([bright_corner()])[0])
    assert (width, height) == (64, 96)
    assert found.classes[0] == 16 and found.scores[0] > 0.9
    assert found.boxes[0].tolist() == pytest.approx([0.5, 0.25, 0.75, 0.5])
    assert task.describe(task.predict([bright_corner()])[0]) == "dog"


def test_the_label_of_what_is_there_is_met(work: Path, tmp_path: Path) -> None:
    task = get_task("detect:yolo.onnx:decoder=my_detector.decode")
    assert isinstance(task, DetectOnnx)
    image = np.zeros((100, 100, 3), np.uint8)
    # The marked dog, which lies on cells only in part.
    image[40:90, 50:90] = 255
    rows, labels = task.predict([image]), mark([image], tmp_path)
    whole = task.pool(task.records(rows, rows, labels))
    assert whole["map"] == pytest.approx(1)
    assert 0 <= whole["map_labels"] < 1
    scores = task.score(rows, rows, labels)
    assert scores["distance"] == [0] and scores["image_ap"] == pytest.approx([1])
    assert scores["overlap"] == pytest.approx([1])
    assert scores["image_ap_labels"] == pytest.approx(whole["map_labels"])


def test_a_coarser_jpeg_scores_worse(work: Path, crops: list[Image]) -> None:
    task = get_task("detect:yolo.onnx:decoder=my_detector.decode:confident=0.2")
    codec, reference = get_codec("jpeg"), task.predict(crops)
    coded = [[codec.decode(codec.encode(c, q)) for c in crops] for q in (1, 90)]
    coarse, fine = (task.score(task.predict(c), reference) for c in coded)
    assert (coarse["distance"] > fine["distance"]).all()
    assert (coarse["overlap"] < fine["overlap"]).all() and (fine["overlap"] < 1).all()


def test_a_smaller_picture_is_scored_at_the_originals_size(work: Path, photos: list[Image]) -> None:
    task = get_task("detect:yolo.onnx:decoder=my_detector.decode:confident=0.2")
    assert isinstance(task, DetectOnnx)
    whole = [np.ascontiguousarray(photo[:192, :256]) for photo in photos[:3]]
    half = [photo[::2, ::2] for photo in whole]
    pooled = task.pool(task.records(task.predict(half), task.predict(whole)))
    # Cells of the originals have 64x48 pixels; of the halves 32x24, which would be small.
    assert pooled["ap_medium"] > 0.3 and np.isnan(pooled["ap_small"])


def test_it_has_the_gradient_of_the_network_alone(work: Path, crops: list[Image]) -> None:
    task = get_differentiable("detect:yolo.onnx:decoder=my_detector.decode")
    assert isinstance(task, DetectOnnx)
    x = to_tensor(crops)
    moved = (0.9 * x).requires_grad_()
    loss = task.loss(task.outputs(moved), task.outputs(x))
    (gradient,) = torch.autograd.grad(loss.sum(), moved)
    assert (gradient.abs().flatten(1).amax(dim=1) > 0).all()
    assert torch.equal(loss, task.network.loss(task.outputs(moved), task.outputs(x)))


def test_a_function_is_a_decoder(work: Path, crops: list[Image]) -> None:
    def nothing(outputs: list[np.ndarray]) -> list[Detections]:
        assert outputs[0].shape == (3, 4 + CLASSES, PLACES) and outputs[0].dtype == np.float32
        return [Detections(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64))] * 3

    task = DetectOnnx("yolo.onnx", nothing)
    assert task.name == "detect:yolo.onnx:decoder=nothing"
    rows = task.predict(crops)
    # Nothing before, nothing after: all of it is the same.
    assert task.score(rows, rows)["overlap"].tolist() == [1, 1, 1]


def test_order_is_the_decoders_unless_said(work: Path, crops: list[Image]) -> None:
    tasks = [DetectOnnx("yolo.onnx", "my_detector.decode", order=o) for o in (None, "rgb", "bgr")]
    own, rgb, bgr = (task.network.predict(crops) for task in tasks)
    assert np.array_equal(own, rgb)
    swapped = [np.ascontiguousarray(crop[..., ::-1]) for crop in crops]
    assert np.allclose(bgr, tasks[1].network.predict(swapped), atol=1e-5)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("detect:yolo.onnx", "written detect:PATH.onnx:decoder=NAME"),
        ("detect:yolo.onnx:decoder=a.b:size=3", "written detect:PATH.onnx:decoder=NAME"),
        ("detect:yolo.onnx:decoder=fastdet", "no decoder 'fastdet'; did you mean 'fastestdet'"),
        ("detect:yolo.onnx:decoder=not_there.decode", "not_there cannot be imported"),
        ("detect:yolo.onnx:decoder=my_detector.guess", "my_detector has no guess"),
        ("detect:yolo.onnx:decoder=my_detector.SIDE", "is no function but int"),
        ("detect:yolo.onnx:decoder=my_detector.decode:range=2", "range is 1 or 255, not '2'"),
        ("detect:yolo.onnx:decoder=my_detector.decode:confident=x", "between 0 and 1, not 'x'"),
        ("detect:none.onnx:decoder=my_detector.decode", "no ONNX file at none.onnx"),
    ],
)
def test_a_spec_that_names_nothing_says_so(work: Path, spec: str, message: str) -> None:
    with pytest.raises(TamisError, match=message):
        get_task(spec)


def test_a_decoder_that_fails_is_named_with_what_it_got(work: Path, crops: list[Image]) -> None:
    task = get_task("detect:yolo.onnx:decoder=mistaken.decode")
    with pytest.raises(TamisError, match=r"mistaken\.decode fails on outputs \(3, 84, 16\): Index"):
        task.predict(crops)
    short = DetectOnnx("yolo.onnx", lambda outputs: [])
    with pytest.raises(TamisError, match="one Detections for each picture, 3 here"):
        short.predict(crops)


@pytest.mark.slow
def test_fastestdet_finds_what_is_labelled(shared: Path) -> None:
    path, coco = shared / "models" / "fastestdet_coco.onnx", shared / "data" / "coco_tiny"
    if not path.exists() or not coco.is_dir():
        pytest.skip(f"no detector at {path}, or no photos in {coco}")
    task = get_task(f"detect:{path}:decoder=fastestdet")
    assert isinstance(task, DetectOnnx)
    marked = read_coco(coco / "annotations" / "instances_train2017.json")
    photos = sorted((coco / "train2017").glob("*.jpg"))
    rows = task.predict([load_photo(photo) for photo in photos])
    pooled = task.pool(task.records(rows, rows, [marked[photo.name] for photo in photos]))
    # Published: AP50 25.3 % on val2017. With the channels swapped it is 22 % here.
    assert 0.25 < pooled["ap50_labels"] < 0.31
    assert pooled["map_labels"] < pooled["ap50_labels"]
    assert pooled["map"] > 0.99
