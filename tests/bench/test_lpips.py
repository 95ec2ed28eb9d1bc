"""LPIPS against torchmetrics' implementation, with the same random backbone; its weights."""

import numpy as np
import pytest
import torch
from torch import nn
from torchmetrics.functional.image.lpips import _NoTrainLpips

from tamis.bench.lpips import MIN_SIDE, Lpips
from tamis.errors import CorruptFileError, TamisError

WEIGHTS = "alexnet-owt-7be5be79.pth"


def convolutions(network):
    return [m for m in network.modules() if isinstance(m, nn.Conv2d) and m.bias is not None]


def posterized(photo):
    return photo // 32 * 32 + 16


@pytest.fixture(scope="module")
def lpips():
    return Lpips(random=True)


def test_it_agrees_with_torchmetrics(lpips, named_photos):
    theirs = _NoTrainLpips(net="alex", pnet_rand=True)
    own = convolutions(nn.ModuleList(lpips._parts))
    for their, our in zip(convolutions(theirs.net), own, strict=True):
        their.load_state_dict(our.state_dict())
    photo = named_photos["coffee"][:240, :320]
    x, y = (torch.tensor(a).permute(2, 0, 1)[None] / 255 for a in (posterized(photo), photo))
    expected = float(theirs(x, y, normalize=True))
    assert lpips(posterized(photo), photo) == pytest.approx(expected, rel=1e-4)
    assert expected > 1e-3


def test_equal_pictures_have_no_distance_and_tiny_ones_no_value(lpips, named_photos):
    photo = named_photos["cat"]
    smallest, tiny = photo[:MIN_SIDE, :MIN_SIDE], photo[: MIN_SIDE - 1, :200]
    assert lpips(photo, photo) == 0
    assert lpips(posterized(smallest), smallest) > 0
    assert np.isnan(lpips(posterized(tiny), tiny))


def test_weights_are_read_from_the_folder_that_the_variable_names(
    lpips, named_photos, tmp_path, monkeypatch
):
    layers = nn.Sequential(*(layer for part in lpips._parts for layer in part))
    state = {f"features.{name}": value for name, value in layers.state_dict().items()}
    torch.save(state | {"classifier.1.weight": torch.zeros(1)}, tmp_path / WEIGHTS)
    monkeypatch.setenv("TAMIS_WEIGHTS", str(tmp_path))
    photo = named_photos["cat"][:100, :120]
    assert Lpips()(posterized(photo), photo) == lpips(posterized(photo), photo)
    (tmp_path / WEIGHTS).write_bytes(b"not weights")
    with pytest.raises(CorruptFileError, match=WEIGHTS):
        Lpips()


def test_without_weights_one_line_says_what_to_put_where(tmp_path, monkeypatch):
    def refuse(*args, **options):
        raise OSError("no route to host")

    monkeypatch.setattr("torch.hub.load_state_dict_from_url", refuse)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.delenv("TAMIS_WEIGHTS", raising=False)
    with pytest.raises(TamisError, match=rf"LPIPS.*https://.*{WEIGHTS}.*TAMIS_WEIGHTS") as error:
        Lpips()
    assert "\n" not in str(error.value)
