"""A trained network written as a model directory: ONNX, safetensors and its card (torch)."""

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
import torch
from safetensors.torch import save

from tamis import __version__
from tamis.card import CARD, SAFETENSORS, sha256
from tamis.mirror import write_whole
from tamis.preprocessing.card import ONNX, Card
from tamis.preprocessing.complexity import complexity
from tamis.preprocessing.network import Network


def export(
    network: Network,
    directory: str | Path,
    *,
    codecs: Mapping[str, tuple[int, int]],
    recipe: str,
    data: str,
    licence: str,
    metrics: Mapping[str, Any] | None = None,
    scale: Mapping[str, Mapping[int, float]] | None = None,
    cutoff: Mapping[str, Mapping[int, float]] | None = None,
    smallest_side: int = 0,
) -> Card:
    """Write `network` to `directory` as a model named like the directory, and return its card.

    Every file is written under a temporary name and renamed; the card comes last, so a directory
    with a card is whole. No file is a pickle.

    Args:
        network: in any mode, on any device; left as it is.
        directory: made if needed.
        codecs: lowest and highest quality trained for, by codec name.
        recipe: name of the recipe that reproduces the weights.
        data: what they were trained on.
        licence: SPDX identifier.
        metrics: what was measured, and by which command.
        scale: by codec name, resolution factor by quality, if the model also picks that.
        cutoff: by codec name, share of the frequencies kept by quality, if it removes the rest.
        smallest_side: see `Card`.
    """
    directory = Path(directory)
    plain = copy.deepcopy(network).cpu().eval()
    weights = {key: value.contiguous() for key, value in plain.state_dict().items()}
    contents = {ONNX: to_onnx(plain), SAFETENSORS: save(weights)}
    cost = complexity(plain)
    card = Card(
        name=directory.resolve().name,
        network=network.name,
        codecs=dict(codecs),
        scale={codec: dict(factors) for codec, factors in (scale or {}).items()},
        cutoff={codec: dict(factors) for codec, factors in (cutoff or {}).items()},
        smallest_side=smallest_side,
        recipe=recipe,
        data=data,
        metrics=dict(metrics or {}),
        licence=licence,
        tamis=__version__,
        parameters=cost.parameters,
        macs_per_pixel=round(cost.macs_per_pixel, 1),
        multiple=network.multiple,
        halo=network.halo,
        files={name: sha256(content) for name, content in contents.items()},
    )
    for name, content in contents.items():
        write_whole(directory / name, content)
    write_whole(directory / CARD, card.to_yaml())
    return card


def to_onnx(network: Network) -> bytes:
    """The ONNX file of `network`: inputs `image` `(N, 3, H, W)` and `strength` `(N,)`.

    Batch, height and width are free, the sides multiples of `network.multiple`; the output is
    `filtered`. `network` is in evaluation mode on the CPU.
    """
    rows, columns, batch = (torch.export.Dim(n, min=1, max=4096) for n in ("rows", "cols", "n"))
    sides = {0: batch, 2: network.multiple * rows, 3: network.multiple * columns}
    # Two pictures, not square: an example with equal or unit sizes would be taken as fixed.
    example = (torch.zeros(2, 3, 4 * network.multiple, 6 * network.multiple), torch.zeros(2))
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), _quiet("torch.onnx"):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network,
            example,
            dynamo=True,
            input_names=["image", "strength"],
            output_names=["filtered"],
            dynamic_shapes=(sides, {0: batch}),
            verbose=False,
        )
    assert program is not None  # None is what the exporter without dynamo returns
    model = program.model_proto
    # The exporter notes stack traces of this machine at every node; a release carries none.
    for entry in (model, model.graph, *model.graph.node, *model.graph.initializer):
        del entry.metadata_props[:]
    for node in model.graph.node:
        node.doc_string = ""
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


@contextlib.contextmanager
def _quiet(logger: str) -> Any:
    """Hold back a library's progress messages."""
    log = logging.getLogger(logger)
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)
