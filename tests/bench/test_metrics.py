"""PSNR and MS-SSIM against other people's implementations."""

import math

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as theirs

from tamis.bench.metrics import enlarge, ms_ssim, psnr, ssim
from tamis.codecs import get_codec


@pytest.mark.parametrize("quality", [5, 30, 80])
def test_metrics_agree_with_scikit_image_and_torchmetrics(named_photos, quality):
    photo = named_photos["cat"][:, :225]
    jpeg = get_codec("jpeg")
    decoded = jpeg.decode(jpeg.encode(photo, quality))
    x, y = (torch.tensor(a).permute(2, 0, 1)[None].double() for a in (decoded, photo))
    assert psnr(decoded, photo) == pytest.approx(peak_signal_noise_ratio(photo, decoded))
    assert ssim(decoded, photo) == pytest.approx(
        structural_similarity(
            photo,
            decoded,
            gaussian_weights=True,
            use_sample_covariance=False,
            data_range=255,
            channel_axis=2,
        ),
        abs=1e-5,
    )
    assert ms_ssim(decoded, photo) == pytest.approx(
        float(theirs(x, y, data_range=255.0, normalize="relu")), abs=2e-3
    )


def test_equal_pictures_are_perfect(named_photos):
    photo = named_photos["cat"]
    assert psnr(photo, photo) == math.inf
    assert ms_ssim(photo, photo) == pytest.approx(1, abs=1e-6)
    assert ssim(photo, photo) == pytest.approx(1, abs=1e-6)


def test_ms_ssim_has_no_value_for_small_pictures():
    assert math.isnan(ms_ssim(np.zeros((160, 300, 3), np.uint8), np.zeros((160, 300, 3), np.uint8)))


def test_ssim_has_no_value_for_pictures_smaller_than_its_window():
    assert math.isnan(ssim(np.zeros((10, 30, 3), np.uint8), np.zeros((10, 30, 3), np.uint8)))


def test_smaller_pictures_are_enlarged_to_the_source(named_photos):
    photo = named_photos["cat"]
    assert enlarge(photo[::2, ::2], photo).shape == photo.shape
    assert enlarge(photo, photo) is photo
