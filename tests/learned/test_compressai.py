"""Checkpoints of CompressAI give in our models what CompressAI's own classes give.

The fixtures were made by CompressAI 1.2.8 (`fixtures/make_compressai.py`).
"""

from pathlib import Path

import numpy as np
import pytest
import torch

from tamis.errors import CorruptFileError, TamisError, UnknownNameError
from tamis.learned.compressai import MODELS, load_compressai, read_checkpoint
from tamis.learned.models import Output

FIXTURES = Path(__file__).parent / "fixtures"

Arrays = dict[str, torch.Tensor]


def fixture(name: str) -> tuple[Arrays, torch.Tensor, Arrays]:
    """State dict, input and outputs of CompressAI's model `name`."""
    with np.load(FIXTURES / f"{name}.npz") as file:
        arrays = {key: torch.from_numpy(file[key]) for key in file.files}
    weights = {key[8:]: value for key, value in arrays.items() if key.startswith("weights.")}
    outputs = {key[4:]: value for key, value in arrays.items() if key.startswith("out.")}
    return weights, arrays["x"], outputs


def run(weights: Arrays, name: str, x: torch.Tensor) -> Output:
    with torch.no_grad():
        output: Output = load_compressai(weights, name)(x)
    return output


def close(ours: torch.Tensor | None, theirs: torch.Tensor) -> bool:
    return ours is not None and torch.allclose(ours, theirs, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_the_forward_pass_is_theirs(name: str) -> None:
    """For `mbt2018` their outputs are taken at y_hat = round(y), which is what its coder codes.

    CompressAI's forward pass reports y's likelihood at round(y - mean) + mean there, values that
    its own synthesis and context never see; the fixture evaluates CompressAI's likelihood at
    round(y) instead, with CompressAI's own parameters.
    """
    weights, x, theirs = fixture(name)
    ours = run(weights, name, x)
    assert close(ours.x_hat, theirs["x_hat"])
    assert set(ours.latents.likelihoods) == {
        key.removeprefix("likelihood_") for key in theirs if key.startswith("likelihood_")
    }
    for key, value in ours.latents.likelihoods.items():
        assert close(value, theirs[f"likelihood_{key}"])


def test_the_context_model_predicts_what_theirs_does() -> None:
    weights, x, theirs = fixture("mbt2018")
    latents = run(weights, "mbt2018", x).latents
    assert torch.equal(latents.y_hat, theirs["y_hat"])
    assert close(latents.mean, theirs["mean"])
    assert close(latents.scale, theirs["scale"])


def test_names_of_older_releases_and_of_data_parallel_load() -> None:
    weights, x, theirs = fixture("mbt2018")
    published = {
        key.replace("bottleneck.matrices.", "bottleneck._matrix")
        .replace("bottleneck.biases.", "bottleneck._bias")
        .replace("bottleneck.factors.", "bottleneck._factor"): value
        for key, value in weights.items()
    }
    oldest = {
        f"module.{key}".replace("bottleneck.matrices", "bottleneck._matrices")
        .replace("bottleneck.biases", "bottleneck._biases")
        .replace("bottleneck.factors", "bottleneck._factors"): value
        for key, value in weights.items()
    }
    for named in (published, oldest):
        assert set(named) != set(weights)
        assert close(run(named, "mbt2018", x).latents.likelihoods["z"], theirs["likelihood_z"])


@pytest.mark.parametrize(
    ("of", "asked", "words"),
    [
        ("mbt2018", "mbt2018-mean", "it has the latents.* of ours|it has context_prediction"),
        ("mbt2018-mean", "mbt2018", "it lacks the latents"),
        ("bmshj2018-hyperprior", "mbt2018-mean", "hyper_synthesis.* expected"),
        ("bmshj2018-factorized", "bmshj2018-hyperprior", r"medians is \(12,\), expected \(8,\)"),
    ],
)
def test_weights_of_another_model_are_refused(of: str, asked: str, words: str) -> None:
    weights, _, _ = fixture(of)
    with pytest.raises(TamisError, match=f"not a checkpoint of {asked}: .*({words})") as caught:
        load_compressai(weights, asked)
    assert "\n" not in str(caught.value)


def test_what_has_nothing_of_it_is_refused() -> None:
    with pytest.raises(TamisError, match="not a checkpoint of mbt2018: it has fc"):
        load_compressai({"fc.weight": torch.zeros(3)}, "mbt2018")
    with pytest.raises(TamisError, match="not a checkpoint of mbt2018: it lacks"):
        load_compressai({}, "mbt2018")
    with pytest.raises(UnknownNameError, match="did you mean 'mbt2018'"):
        load_compressai({}, "mbt201")


def test_checkpoints_are_read_from_both_kinds_of_files(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    weights, _, _ = fixture("mbt2018")
    torch.save(weights, tmp_path / "plain.pth.tar")
    torch.save({"epoch": 3, "state_dict": weights}, tmp_path / "training.pth.tar")
    save_file(weights, tmp_path / "weights.safetensors")
    for name in ("plain.pth.tar", "training.pth.tar", "weights.safetensors"):
        read = read_checkpoint(tmp_path / name)
        assert set(read) == set(weights)
        assert all(torch.equal(read[key], value) for key, value in weights.items())


def test_a_file_that_is_no_checkpoint_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(TamisError, match="there is no checkpoint"):
        read_checkpoint(tmp_path / "nothing.pth")
    for name in ("noise.pth", "noise.safetensors"):
        (tmp_path / name).write_bytes(b"not a checkpoint")
        with pytest.raises(CorruptFileError, match="is no checkpoint"):
            read_checkpoint(tmp_path / name)
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(CorruptFileError, match="holds no state dict"):
        read_checkpoint(tmp_path / "list.pth")
