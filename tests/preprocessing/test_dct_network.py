"""`npp-dct`: edits of the codec's own coefficients."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import scipy.fft
import torch
from safetensors.torch import load_file

from tamis.codecs import Image, bpp, get_codec
from tamis.codecs.jpeg import Jpeg
from tamis.preprocessing.dct_network import BLOCK, NppDct
from tamis.preprocessing.export import export, to_onnx
from tamis.preprocessing.module import TorchPreprocessor, load_network
from tamis.preprocessing.network import Network
from tamis.proxies.jpeg import quantization_table

JPEG_STEPS = torch.stack([quantization_table(50, chroma=p > 0) for p in range(3)]) / Jpeg().step(50)


def small(depth: int = 2) -> NppDct:
    """The same network, narrower, with every weight drawn."""
    torch.manual_seed(3)
    network = NppDct(width=16, depth=depth)
    with torch.no_grad():
        for weight in network.parameters():
            weight += 0.05 * torch.randn(weight.shape)
    return network.eval()


def killer(strongly: float) -> NppDct:
    """An untrained network but for its thresholds, which now take coefficients away."""
    network = NppDct(width=16, depth=1)
    network.set_steps(JPEG_STEPS)
    with torch.no_grad():
        for editor in (network.luma, network.chroma, network.chroma_red):
            editor.kill.fill_(strongly / editor.KILL_SPEED)
    return network.eval()


def test_the_transform_is_the_orthonormal_dct_of_each_block() -> None:
    network = NppDct(width=16, depth=1)
    plane = torch.rand(1, 1, 16, 24, generator=torch.Generator().manual_seed(0))
    c = network._forward(plane)
    assert c.shape == (1, 64, 2, 3)
    expected = scipy.fft.dctn(plane[0, 0, 8:, :8].numpy(), norm="ortho")
    assert np.allclose(c[0, :, 1, 0].reshape(BLOCK, BLOCK).numpy(), expected, atol=1e-5)


def test_the_transform_comes_back() -> None:
    network = NppDct(width=16, depth=1)
    plane = torch.rand(2, 1, 32, 16)
    assert torch.allclose(network._inverse(network._forward(plane)), plane, atol=1e-5)


def test_told_steps_change_what_is_filtered() -> None:
    network, x = small(), torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        before = network(x, torch.zeros(1))
        network.set_steps(JPEG_STEPS)
        after = network(x, torch.zeros(1))
    assert (before - after).abs().max() > 1e-3


def test_told_steps_are_stored_with_the_weights(tmp_path: Path) -> None:
    network = load_network("npp-dct")
    assert isinstance(network, NppDct)
    network.set_steps(JPEG_STEPS)
    export(
        network, tmp_path / "m", codecs={"jpeg": (1, 95)}, recipe="none", data="none",
        licence="Apache-2.0",
    )  # fmt: skip
    stored = load_file(tmp_path / "m" / "model.safetensors")
    assert torch.allclose(stored["log_step"].exp(), JPEG_STEPS, rtol=1e-5)
    loaded = load_network("npp-dct", tmp_path / "m" / "model.safetensors")
    assert torch.equal(loaded.state_dict()["log_step"], network.log_step)


@pytest.mark.parametrize("codec", ["jpeg", "bpg"])
def test_the_step_it_works_with_is_the_codecs(codec: str) -> None:
    """Told JPEG's table, at a quality's strength, its steps are those libjpeg writes."""
    from tamis.preprocessing.conditioning import strength

    made = get_codec(codec)
    quality = 30
    step = 2 ** (4 + 2 * strength(made, quality))
    assert step == pytest.approx(made.step(quality))
    if codec == "jpeg":
        table = torch.stack([quantization_table(quality, chroma=p > 0) for p in range(3)])
        assert torch.allclose(step * JPEG_STEPS, table, rtol=0.06, atol=0.6)


def test_killing_small_coefficients_lowers_the_rate_more_than_the_fidelity(
    photos: list[Image],
) -> None:
    crop, codec = np.ascontiguousarray(photos[0][100:228, 100:228]), get_codec("jpeg")
    filtered = TorchPreprocessor(killer(1.0))(crop, codec, 30)
    plain, ours = (bpp(codec.encode(image, 30), crop) for image in (crop, filtered))
    assert ours < 0.95 * plain
    assert 10 * np.log10(255**2 / np.square(crop.astype(float) - filtered).mean()) > 30


def test_the_mean_of_a_block_is_never_killed() -> None:
    network, x = killer(1.0), torch.rand(1, 3, 32, 48)
    with torch.no_grad():
        change = network.residual(x, torch.tensor([0.5]))
    assert change.abs().max() > 0.01
    blocks = torch.nn.functional.avg_pool2d(change, 16)
    assert blocks.abs().max() < 1e-5


def test_a_coarser_quality_kills_more(photos: list[Image]) -> None:
    crop, codec = np.ascontiguousarray(photos[0][100:228, 100:228]), get_codec("jpeg")
    network = TorchPreprocessor(killer(1.0))
    errors = [
        np.square(crop.astype(float) - network(crop, codec, quality)).mean()
        for quality in (10, 30, 80)
    ]
    assert errors[0] > errors[1] > errors[2] > 0


def test_the_halo_holds_the_receptive_field_whatever_the_depth() -> None:
    network = small(depth=2).double()
    side = 3 * network.multiple + 2 * network.halo
    x = torch.rand(1, 3, side, side, dtype=torch.float64, requires_grad=True)
    for offset in (0, 7, 8, 15):
        at = network.halo + network.multiple + offset
        y = network(x, torch.zeros(1, dtype=torch.float64))[0, :, at, at].sum()
        seen = torch.autograd.grad(y, x)[0].abs().sum((0, 1)).nonzero() - at
        assert network.halo // 2 < seen.abs().max() <= network.halo


def test_onnx_runtime_gives_what_torch_gives() -> None:
    network = small()
    network.set_steps(JPEG_STEPS)
    session = onnxruntime.InferenceSession(to_onnx(network), providers=["CPUExecutionProvider"])
    x, s = torch.rand(3, 3, 48, 80), torch.tensor([-1.0, 0.0, 1.0])
    with torch.no_grad():
        expected = network(x, s).numpy()
    result = session.run(["filtered"], {"image": x.numpy(), "strength": s.numpy()})[0]
    assert np.abs(result - expected).max() < 1e-4
    assert np.abs(expected - x.numpy()).max() > 1 / 255


def test_tiles_give_what_one_piece_gives(shaken: Callable[[str], Network]) -> None:
    network = shaken("npp-dct")
    x = np.random.default_rng(0).random((1, 3, 100, 300), np.float32)
    whole = TorchPreprocessor(network, tile=512).filter(x, 0.3)
    tiled = TorchPreprocessor(network, tile=160).filter(x, 0.3)
    assert np.abs(whole - tiled).max() < 1e-4
