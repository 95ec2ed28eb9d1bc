"""Tasks by name: `classify:efficientnet_lite0`, `onnx:detector.onnx`."""

import importlib
from collections.abc import Callable
from typing import cast

from tamis.errors import TamisError, UnknownNameError
from tamis.spec import Spec
from tamis.tasks.base import DifferentiableTask, Task
from tamis.tasks.classify import Classify
from tamis.tasks.detect_onnx import DetectOnnx
from tamis.tasks.mediapipe_pose import MediaPipePose
from tamis.tasks.mediapipe_segmenter import MediaPipeSegmenter
from tamis.tasks.onnx_network import OnnxNetwork
from tamis.tasks.torchvision_detect import TorchvisionDetector
from tamis.tasks.torchvision_segment import TorchvisionSegmenter


def _detect(spec: Spec) -> Task:
    """`detect:PATH.onnx:decoder=NAME`, or `detect:NAME` of torchvision."""
    if "decoder" in spec.options or (spec.value or "").endswith(".onnx"):
        return DetectOnnx.from_spec(spec)
    return TorchvisionDetector.from_spec(spec)


def _human(spec: Spec) -> Task:
    """`human`; it is made of the bench's metrics, above this package, and known by name alone."""
    return cast(Task, importlib.import_module("tamis.bench.human").Human.from_spec(spec))


TASKS: dict[str, Callable[[Spec], Task]] = {
    "classify": Classify.from_spec,
    "onnx": OnnxNetwork.from_spec,
    "detect": _detect,
    "instances": TorchvisionDetector.from_spec,
    "keypoints": TorchvisionDetector.from_spec,
    "segment": TorchvisionSegmenter.from_spec,
    "human": _human,
}

BLACK_BOXES: dict[str, Callable[[], Task]] = {
    "keypoints:mediapipe": MediaPipePose,
    "segment:mediapipe": MediaPipeSegmenter,
}
"""Whole specs, without options, of tasks without a gradient."""


def get_task(spec: str | Task) -> Task:
    """The task of a spec; a task passes through.

    Raises:
        UnknownNameError: no task or network of that name.
        TamisError: an option it does not have, or weights that are not to be had.
    """
    if not isinstance(spec, str):
        return spec
    if spec in BLACK_BOXES:
        return BLACK_BOXES[spec]()
    parsed = Spec.parse(spec)
    if parsed.name not in TASKS:
        raise UnknownNameError("task", spec, [*TASKS, *BLACK_BOXES])
    return TASKS[parsed.name](parsed)


def get_differentiable(spec: str | Task) -> DifferentiableTask:
    """Like `get_task`, for tasks that train or refine; a bare network name is a classifier."""
    if isinstance(spec, str) and ":" not in spec:
        spec = f"onnx:{spec}" if spec.endswith(".onnx") else f"classify:{spec}"
    task = get_task(spec)
    if not isinstance(task, DifferentiableTask):
        raise TamisError(
            f"{task.name} has no gradient: it can be benchmarked, but not trained or refined for; "
            "give a network instead, as classify:NAME or onnx:PATH"
        )
    return task
