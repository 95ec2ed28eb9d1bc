"""Weights come from a folder, a cache or the network, as tensors alone; else a line says where."""

from pathlib import Path

import pytest
import timm
import torch
import torchvision.models
from safetensors.torch import save_file

from tamis.errors import CorruptFileError, TamisError
from tamis.tasks.classifiers import load_network
from tamis.tasks.weights import (
    find_weights,
    load_or_explain,
    read_weights,
    same_random_weights,
    torchvision_network,
)

SQUEEZE = "squeezenet1_1-b8a52dc0.pth"
TINY = "test_resnet.r160_in1k.safetensors"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that `TAMIS_WEIGHTS` names, beside an empty hub cache."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("TAMIS_WEIGHTS", str(tmp_path / "weights"))
    (tmp_path / "weights").mkdir()
    return tmp_path / "weights"


def test_the_users_folder_comes_before_the_hubs_cache(folder: Path) -> None:
    cache = Path(torch.hub.get_dir()) / "checkpoints"
    cache.mkdir(parents=True)
    assert find_weights("a.pth") is None
    (cache / "a.pth").touch()
    assert find_weights("a.pth") == cache / "a.pth"
    (folder / "a.pth").touch()
    assert find_weights("a.pth") == folder / "a.pth"


def test_a_variable_that_names_no_folder_is_an_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAMIS_WEIGHTS", str(folder / "none"))
    with pytest.raises(TamisError, match="none, which is not a folder"):
        find_weights("a.pth")


def test_torchvision_networks_read_a_file_in_the_users_folder(folder: Path) -> None:
    state = torchvision.models.squeezenet1_1(weights=None).state_dict()
    torch.save(state, folder / SQUEEZE)
    network, weights = torchvision_network("squeezenet1_1", torchvision.models)
    assert not network.training
    assert weights.meta["num_params"] == sum(p.numel() for p in network.parameters())
    for name, value in network.state_dict().items():
        assert torch.equal(value, state[name])


def test_timm_networks_read_a_file_in_the_users_folder(folder: Path) -> None:
    source = timm.create_model("test_resnet", pretrained=False)
    save_file(source.state_dict(), folder / TINY)
    net, pipeline = load_network("test_resnet")
    x = torch.rand(1, 3, pipeline.size, pipeline.size)
    assert torch.allclose(net(x), source.eval()(x), atol=1e-4)


@pytest.mark.parametrize(
    ("network", "file"), [("torchvision.squeezenet1_1", SQUEEZE), ("test_resnet", TINY)]
)
@pytest.mark.parametrize("content", [b"", b"not weights at all", None])
def test_a_file_of_other_weights_is_told_from_an_absent_one(
    folder: Path, network: str, file: str, content: bytes | None
) -> None:
    if content is None:
        other = {"bias": torch.zeros(3)}
        save_file(other, folder / file) if file == TINY else torch.save(other, folder / file)
    else:
        (folder / file).write_bytes(content)
    with pytest.raises(CorruptFileError, match=file) as caught:
        load_network(network)
    assert "\n" not in str(caught.value)


def test_a_pickle_that_would_run_code_is_refused(folder: Path) -> None:
    torch.save({"run": print}, folder / "a.pth")
    with pytest.raises(CorruptFileError, match=r"a\.pth"):
        read_weights(folder / "a.pth")


def test_what_is_nowhere_is_explained_in_one_line(folder: Path) -> None:
    def build(path: Path | None) -> torch.nn.Module:
        assert path is None
        raise OSError("no route to host\nand more")

    with pytest.raises(TamisError) as caught:
        load_or_explain("fancy", "fancy-1234.pth", "https://example.org/f", build)
    told = str(caught.value)
    assert "\n" not in told
    for part in (
        "fancy-1234.pth",
        "https://example.org/f",
        "TAMIS_WEIGHTS",
        "checkpoints",
        "route",
    ):
        assert part in told


def test_random_weights_are_the_same_everywhere_and_disturb_nothing() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with same_random_weights():
        first = torch.rand(2)
    assert torch.equal(torch.rand(3), expected)
    with same_random_weights():
        assert torch.equal(torch.rand(2), first)
