"""What the machine does with the pixels, behind one protocol."""

from tamis.data.annotations import Label
from tamis.tasks.base import (
    DifferentiableTask,
    FeatureTask,
    LabelledTask,
    Measure,
    PooledTask,
    Predictions,
    Record,
    Task,
)
from tamis.tasks.classify import Classify, ClassifyWith
from tamis.tasks.detect_onnx import DetectOnnx
from tamis.tasks.detections import Detections
from tamis.tasks.onnx_network import OnnxNetwork
from tamis.tasks.registry import get_differentiable, get_task
from tamis.tasks.torchvision_detect import TorchvisionDetector

__all__ = [
    "Classify",
    "ClassifyWith",
    "DetectOnnx",
    "Detections",
    "DifferentiableTask",
    "FeatureTask",
    "Label",
    "LabelledTask",
    "Measure",
    "OnnxNetwork",
    "PooledTask",
    "Predictions",
    "Record",
    "Task",
    "TorchvisionDetector",
    "get_differentiable",
    "get_task",
]
