"""The anatomy of a photo adds up to what the model itself reports."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tamis.analysis.anatomy import anatomy_figure, dissect, draw_anatomy
from tamis.cli import main
from tamis.codecs import Image
from tamis.errors import TamisError
from tamis.learned.models import create_model, list_models


@pytest.mark.parametrize("name", list_models())
def test_bits_and_error_are_the_models_own(name: str, named_photos: dict[str, Image]) -> None:
    photo = named_photos["cat"][:101, :150]
    model = create_model(name, 4, 6)
    anatomy = dissect(model, photo)
    x = torch.from_numpy(photo.copy()).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        output = model(x)
    assert anatomy.bpp == pytest.approx(output.bpp.item(), rel=1e-4)
    assert anatomy.reconstruction.shape == photo.shape
    assert anatomy.y_hat.shape == anatomy.mean.shape == anatomy.bits.shape
    costs = anatomy.bits.sum((1, 2))[anatomy.channels]
    assert (np.diff(costs) <= 0).all()


def test_figure_is_written_as_png_and_svg(named_photos: dict[str, Image], tmp_path: Path) -> None:
    paths = draw_anatomy(create_model("joint", 4, 6), named_photos["cat"], tmp_path, channels=2)
    assert [path.name for path in paths] == ["latents.png", "latents.svg"]
    assert all(path.stat().st_size > 10_000 for path in paths)


def test_more_channels_than_there_are_is_refused(named_photos: dict[str, Image]) -> None:
    anatomy = dissect(create_model("factorized", 4, 6), named_photos["cat"])
    with pytest.raises(TamisError, match="expected 1 to 6"):
        anatomy_figure(anatomy, 7)


def test_command_names_the_model_it_does_not_find(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["analyze", "latents", "x.png", "--model", "nowhere", "--out", str(tmp_path)])
    assert end.value.code == 1
    assert "nowhere" in capsys.readouterr().err
