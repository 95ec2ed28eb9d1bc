"""Any ONNX network with an image input: how far compression moves its outputs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from torch import nn

from tamis.codecs import Image
from tamis.data.annotations import Label
from tamis.errors import MissingPackageError, TamisError
from tamis.spec import Spec
from tamis.tasks.base import Measure, Predictions
from tamis.tasks.distance import relative_distance
from tamis.tasks.pixels import batches, fit, resize

Outputs = tuple[torch.Tensor, ...]


class OnnxNetwork:
    """`onnx:PATH[:order=bgr][:range=255]`, made differentiable by onnx2torch.

    Loss and score are one distance: the mean absolute difference between the outputs on the
    decoded and on the original image, relative to the mean absolute deviation of the
    original's outputs from their mean, averaged over the network's outputs. 0 is no change.

    Attributes:
        name: the spec.
        size: `(width, height)` of the network's input, pixels.
    """

    measures: Mapping[str, Measure] = {
        "distance": Measure(False, True, "relative distance of the network's outputs")
    }

    def __init__(self, path: Path | str, order: str = "rgb", top: float = 1.0) -> None:
        self.path = Path(path)
        self.name = f"onnx:{path}"
        if order not in ("rgb", "bgr"):
            raise TamisError(f"order is rgb or bgr, not '{order}'")
        self._flip, self._top = order == "bgr", top
        model = _load(self.path)
        self.size = _input_size(model, self.path)
        single = _to_torch(model)
        free = _free_batch(model)
        # Exporters bake a batch of one into reshapes. Freed of it the network may run batches;
        # whether it still computes the same is not for reading but for trying.
        batched = None if free is None else _to_torch(free)
        self._batches = batched is not None and self._same(single, batched)
        self.net = batched if batched is not None and self._batches else single

    @classmethod
    def from_spec(cls, spec: Spec) -> "OnnxNetwork":
        """`onnx:PATH[:order=rgb|bgr][:range=1|255]`."""
        if spec.value is None or set(spec.options) - {"order", "range"}:
            raise TamisError("an ONNX task is written onnx:PATH[:order=bgr][:range=255]")
        top = spec.options.get("range", "1")
        if top not in ("1", "255"):
            raise TamisError(f"range is 1 or 255, not '{top}'")
        return cls(spec.value, spec.options.get("order", "rgb"), float(top))

    def _same(self, single: nn.Module, batched: nn.Module) -> bool:
        width, height = self.size
        x = torch.rand((2, 3, height, width), generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            apart = [_tuple(single(row[None])) for row in x]
            try:
                together = _tuple(batched(x))
            except RuntimeError:
                return False
        expected = [torch.cat(parts) for parts in zip(*apart, strict=True)]
        return all(
            a.shape == b.shape and torch.allclose(a, b, atol=1e-4)
            for a, b in zip(expected, together, strict=True)
        )

    def prepare(self, image: Image) -> Image:
        """The whole image at the network's input size."""
        return resize(image, *self.size)

    @torch.inference_mode()
    def predict(self, images: Sequence[Image]) -> Predictions:
        """Outputs flattened and joined, `(N, K)`."""
        rows = [
            torch.cat([o.flatten(1) for o in self.outputs(x)], dim=1).numpy()
            for x in batches(images, *self.size)
        ]
        return np.concatenate(rows).astype(np.float32)

    def outputs(self, x: torch.Tensor) -> Outputs:
        """Each output of the network for `x`, `(N, 3, H, W)` in [0, 1]."""
        x = fit(x, *self.size) * self._top
        if self._flip:
            x = x.flip(1)
        if self._batches:
            return tuple(o.float() for o in _tuple(self.net(x)))
        parts = [_tuple(self.net(row[None])) for row in x]
        return tuple(torch.cat(column).float() for column in zip(*parts, strict=True))

    def loss(self, outputs: Outputs, reference: Outputs) -> torch.Tensor:
        """The distance of the class docstring, `(N,)`."""
        gaps = [relative_distance(o, r) for o, r in zip(outputs, reference, strict=True)]
        return torch.stack(gaps).mean(dim=0)

    def score(
        self,
        predictions: Predictions,
        reference: Predictions,
        labels: Sequence[Label] | None = None,
    ) -> dict[str, npt.NDArray[np.float64]]:
        """`distance` for every image, `(N,)`; labels play no part."""
        distance = self.loss(self.apart(predictions), self.apart(reference))
        return {"distance": distance.numpy().astype(np.float64)}

    def apart(self, rows: Predictions) -> Outputs:
        """The outputs that `predict` joined in `rows`, each `(N, ...)` as the network gave it."""
        if not hasattr(self, "_shapes"):
            width, height = self.size
            with torch.inference_mode():
                self._shapes = [o.shape[1:] for o in self.outputs(torch.zeros(1, 3, height, width))]
        parts = torch.split(torch.from_numpy(rows), [s.numel() for s in self._shapes], dim=1)
        return tuple(p.reshape(-1, *s) for p, s in zip(parts, self._shapes, strict=True))


def _tuple(outputs: Any) -> tuple[torch.Tensor, ...]:
    return tuple(outputs) if isinstance(outputs, (list, tuple)) else (outputs,)


def _load(path: Path) -> onnx.ModelProto:
    try:
        model = onnx.load(path)
        onnx.checker.check_model(model)
    except FileNotFoundError:
        raise TamisError(f"there is no ONNX file at {path}") from None
    except Exception as error:
        raise TamisError(
            f"{path} is not a valid ONNX file: {str(error).splitlines()[0]}"
        ) from error
    return model


def _input_size(model: onnx.ModelProto, path: Path) -> tuple[int, int]:
    stored = {i.name for i in model.graph.initializer}
    inputs = [i for i in model.graph.input if i.name not in stored]
    shape = [d.dim_value for d in inputs[0].type.tensor_type.shape.dim] if len(inputs) == 1 else []
    if len(shape) != 4 or shape[1] != 3:
        raise TamisError(f"{path} must have one input (N, 3, H, W); it has {len(inputs)}: {shape}")
    # A free height and width is a fully convolutional network: 224 is what most are made for.
    return shape[3] or 224, shape[2] or 224


def _free_batch(model: onnx.ModelProto) -> onnx.ModelProto | None:
    """A copy whose constant reshapes no longer fix the first dimension; None if none can."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    shapes = {node.input[1] for node in model.graph.node if node.op_type == "Reshape"}
    holders = [i for i in model.graph.initializer if i.name in shapes]
    holders += [
        a.t
        for n in model.graph.node
        if n.op_type == "Constant" and n.output[0] in shapes
        for a in n.attribute
        if a.name == "value"
    ]
    for holder in holders:
        shape = onnx.numpy_helper.to_array(holder).copy()
        if shape.size and (shape > 0).all():
            shape[0] = -1
            holder.CopyFrom(onnx.numpy_helper.from_array(shape, holder.name))
    return model


def _to_torch(model: onnx.ModelProto) -> nn.Module:
    try:
        from onnx2torch import convert
    except ImportError as error:
        raise MissingPackageError("ONNX tasks need onnx2torch: pip install 'tamis[lab]'") from error
    try:
        net: nn.Module = convert(model)
    except Exception as error:
        raise TamisError(f"onnx2torch cannot convert this network: {error}") from error
    return net.eval().requires_grad_(False)
