"""ONNX networks as tasks: small ones built here, and a detector where it is at hand."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from tamis.codecs import Image, get_codec
from tamis.errors import TamisError
from tamis.tasks import OnnxNetwork, get_differentiable, get_task
from tamis.tasks.pixels import to_tensor

SIDE = 32


def write(
    path: Path, reshape: list[int] | None = None, channels: int = 3, mix_batch: bool = False
) -> Path:
    """Convolution, ReLU, mean pooling to 8x8: outputs `map` and, reshaped, `rows`.

    Args:
        path: the file to write.
        reshape: shape of `rows`; its first number may be a batch baked in by an exporter.
        channels: of the input.
        mix_batch: `rows` is relative to the mean over the batch, so batches are not singles.
    """
    weights = np.random.default_rng(0).normal(0, 0.4, (8, channels, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["c"], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("AveragePool", ["r"], ["map"], kernel_shape=[2, 2], strides=[2, 2]),
    ]
    stored = [numpy_helper.from_array(weights, "w")]
    outputs = [helper.make_tensor_value_info("map", TensorProto.FLOAT, ["n", 8, 8, 8])]
    if reshape is not None:
        stored.append(numpy_helper.from_array(np.array(reshape, np.int64), "shape"))
        source = "map"
        if mix_batch:
            nodes.append(helper.make_node("ReduceMean", ["map"], ["mean"], axes=[0], keepdims=1))
            nodes.append(helper.make_node("Mul", ["map", "mean"], ["mixed"]))
            source = "mixed"
        nodes.append(helper.make_node("Reshape", [source, "shape"], ["rows"]))
        outputs.append(helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["m", 8, 64]))
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, channels, SIDE, SIDE])],
        outputs,
        stored,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, path)
    return path


NETWORKS: dict[str, Callable[[Path], Path]] = {
    "one-output": write,
    "batch-in-reshape": lambda path: write(path, [1, 8, 64]),
    "batch-mixing": lambda path: write(path, [1, 8, 64], mix_batch=True),
}


@pytest.fixture(scope="module", params=NETWORKS)
def task(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> OnnxNetwork:
    return OnnxNetwork(NETWORKS[request.param](tmp_path_factory.mktemp("onnx") / "small.onnx"))


@pytest.fixture(scope="module")
def crops(photos: list[Image]) -> list[Image]:
    return [photo[40:136, 60:188] for photo in photos[:4]]


def test_the_outputs_are_those_of_onnx_runtime(task: OnnxNetwork, crops: list[Image]) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(task.path)
    x = to_tensor([task.prepare(crop) for crop in crops])
    ours = task.outputs(x)
    for i, row in enumerate(x):
        theirs = session.run(None, {"image": row[None].contiguous().numpy()})
        for a, b in zip(ours, theirs, strict=True):
            assert np.abs(a[i : i + 1].numpy().reshape(b.shape) - b).max() < 1e-4


def test_a_batch_gives_what_singles_give(task: OnnxNetwork, crops: list[Image]) -> None:
    singles = np.concatenate([task.predict([crop]) for crop in crops])
    assert singles.shape[0] == len(crops)
    assert np.abs(task.predict(crops) - singles).max() < 1e-4


def test_nothing_changed_is_distance_zero(task: OnnxNetwork, crops: list[Image]) -> None:
    predictions = task.predict(crops)
    assert task.score(predictions, predictions)["distance"].tolist() == [0] * len(crops)


def test_a_coarser_jpeg_is_further_away(task: OnnxNetwork, crops: list[Image]) -> None:
    codec, reference = get_codec("jpeg"), task.predict(crops)
    means = [
        task.score(task.predict([codec.decode(codec.encode(c, q)) for c in crops]), reference)[
            "distance"
        ].mean()
        for q in (5, 25, 90)
    ]
    assert means[0] > means[1] > means[2] > 0


def test_the_loss_is_the_distance_that_is_scored(task: OnnxNetwork, crops: list[Image]) -> None:
    x = to_tensor([task.prepare(crop) for crop in crops])
    loss = task.loss(task.outputs(0.8 * x), task.outputs(x))
    prepared = [task.prepare(crop) for crop in crops]
    dark = [np.uint8(np.rint(0.8 * image.astype(float))) for image in prepared]
    expected = task.score(task.predict(dark), task.predict(prepared))["distance"]
    assert loss.numpy() == pytest.approx(expected, rel=0.05)


def test_the_gradient_reaches_the_pixels(task: OnnxNetwork, crops: list[Image]) -> None:
    x = to_tensor(crops)
    reference = task.outputs(x)
    moved = (0.9 * x).requires_grad_()
    (gradient,) = torch.autograd.grad(task.loss(task.outputs(moved), reference).sum(), moved)
    assert gradient.shape == x.shape
    assert gradient.isfinite().all()
    assert (gradient.abs().flatten(1).amax(dim=1) > 0).all()


def test_distance_is_relative_so_the_scale_of_outputs_does_not_matter() -> None:
    outputs, reference = (torch.rand(3, 40) for _ in range(2))
    network = OnnxNetwork.__new__(OnnxNetwork)
    near = network.loss((outputs,), (reference,))
    assert torch.allclose(network.loss((50 * outputs,), (50 * reference,)), near, rtol=1e-4)


def test_a_batch_baked_into_a_reshape_is_freed_only_if_that_changes_nothing(tmp_path: Path) -> None:
    freed = OnnxNetwork(write(tmp_path / "freed.onnx", [1, 8, 64]))
    mixing = OnnxNetwork(write(tmp_path / "mixing.onnx", [1, 8, 64], mix_batch=True))
    x = torch.rand(3, 3, SIDE, SIDE)
    assert freed.net(x)[1].shape == (3, 8, 64)
    # This one is run picture by picture: its batches would compute something else.
    assert mixing.outputs(x)[1].shape == (3, 8, 64)
    with pytest.raises(RuntimeError):
        mixing.net(x)


def test_channel_order_and_range_are_options(tmp_path: Path, crops: list[Image]) -> None:
    path = write(tmp_path / "small.onnx")
    rgb, bgr = OnnxNetwork(path), get_task(f"onnx:{path}:order=bgr")
    swapped = [np.ascontiguousarray(crop[..., ::-1]) for crop in crops]
    assert np.allclose(bgr.predict(crops), rgb.predict(swapped), atol=1e-5)
    bright = get_task(f"onnx:{path}:range=255")
    # Convolution and ReLU without a bias scale with their input.
    assert np.allclose(bright.predict(crops), 255 * rgb.predict(crops), rtol=1e-3, atol=1e-2)


def test_a_path_alone_is_a_task(tmp_path: Path) -> None:
    path = write(tmp_path / "small.onnx")
    assert get_differentiable(str(path)).name == f"onnx:{path}"


def test_prepare_is_the_whole_image_at_the_input_size(task: OnnxNetwork) -> None:
    halves = np.zeros((90, 70, 3), np.uint8)
    halves[:, 35:] = 255
    seen = task.prepare(halves)
    assert seen.shape == (SIDE, SIDE, 3)
    assert seen[:, :12].max() == 0 and seen[:, 20:].min() == 255


def test_a_file_that_is_missing_or_no_onnx_is_named(tmp_path: Path) -> None:
    with pytest.raises(TamisError, match=r"no ONNX file at .*none\.onnx"):
        OnnxNetwork(tmp_path / "none.onnx")
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"these bytes are no protobuf")
    with pytest.raises(TamisError, match=r"bad\.onnx is not a valid ONNX file") as caught:
        OnnxNetwork(bad)
    assert "\n" not in str(caught.value)


def test_a_network_whose_input_is_no_colour_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TamisError, match=r"one input \(N, 3, H, W\)"):
        OnnxNetwork(write(tmp_path / "grey.onnx", channels=1))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("onnx", "written onnx:PATH"),
        ("onnx:a.onnx:size=3", "written onnx:PATH"),
        ("onnx:a.onnx:range=2", "range is 1 or 255, not '2'"),
        ("onnx:a.onnx:order=gbr", "order is rgb or bgr, not 'gbr'"),
    ],
)
def test_a_spec_written_wrongly_says_how_it_is_written(spec: str, message: str) -> None:
    with pytest.raises(TamisError, match=message):
        get_task(spec)


@pytest.fixture(scope="module")
def detector(shared: Path) -> OnnxNetwork:
    path = shared / "models" / "fastestdet_coco.onnx"
    if not path.exists():
        pytest.skip(f"no detector at {path}")
    return OnnxNetwork(path, order="bgr")


def test_a_real_detector_exported_for_one_picture_runs_batches(
    detector: OnnxNetwork, crops: list[Image]
) -> None:
    together = detector.predict(crops[:3])
    singles = np.concatenate([detector.predict([crop]) for crop in crops[:3]])
    assert np.abs(together - singles).max() < 1e-3
    assert detector.net(torch.rand(2, 3, 352, 352))[:].shape[0] == 2


def test_a_real_detectors_distance_falls_as_the_jpeg_gets_better(
    detector: OnnxNetwork, photos: list[Image]
) -> None:
    codec, reference = get_codec("jpeg"), detector.predict(photos[:4])
    means = [
        detector.score(
            detector.predict([codec.decode(codec.encode(p, q)) for p in photos[:4]]), reference
        )["distance"].mean()
        for q in (5, 25, 90)
    ]
    assert means[0] > means[1] > means[2] > 0
