"""Packages of learned codecs on photos: real streams beside the float model they were made from."""

import json
import re
import time
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import torch
from rich.progress import track

from tamis.bench.metrics import ms_ssim, psnr
from tamis.bench.plan import Photo
from tamis.codecs import Image, bpp
from tamis.data import load_photo
from tamis.errors import TamisError
from tamis.learned.compressor import Compressor
from tamis.learned.models import LearnedModel
from tamis.learned.package import load
from tamis.learned.search import Search
from tamis.learned.zoo import read_card
from tamis.mirror import write_whole
from tamis.tasks.pixels import to_images, to_tensor

Row = dict[str, str | int | float]


def measure_packages(
    packages: Sequence[Path], photos: Sequence[Photo], out: Path, search: int = 0
) -> pl.DataFrame:
    """One row per (image, package); what `out` holds for the same model and photo is not repeated.

    Columns: `image`, `image_id`, `codec` (the model's name), `quality` (1 is the lowest rate), of
    the stream `bytes`, `bpp`, `psnr`, `ms_ssim`, `seconds_encode`, `seconds_decode`; of the float
    model `float_bytes` and `float_bpp` by its likelihoods, `float_psnr`, `float_ms_ssim`. With
    `search` steps of the encoder's search for latents, `codec` says so, and there are no columns
    of the float model: its guess is not what was sent.
    """
    rows = []
    for package in packages:
        name, quality = name_and_rate(package)
        compressor = load(package)
        effort = Search(search, read_card(package).lambda_) if search else None
        suffix = f":search={search}" if search else ""
        folder = out / "learned" / (compressor.fingerprint.hex() + suffix.replace(":", "-"))
        for photo in track(photos, package.name):
            kept = folder / f"{photo.id}.json"
            if not kept.exists():
                row = measure(compressor, load_photo(photo.path), effort)
                write_whole(kept, json.dumps(row).encode())
            about: Row = {"image": photo.name, "image_id": photo.id}
            rows.append(
                {
                    **about,
                    "codec": name + suffix,
                    "quality": quality,
                    **json.loads(kept.read_text()),
                }
            )
    return pl.DataFrame(rows)


def name_and_rate(package: Path) -> tuple[str, int]:
    """`joint-2` is model `joint`, rate 2.

    Raises:
        TamisError: a folder that is not named like this.
    """
    match = re.fullmatch(r"(.+)-(\d+)", package.name)
    if not match:
        raise TamisError(f"'{package.name}' is not a package's name; expected <model>-<rate>")
    return match[1], int(match[2])


def measure(compressor: Compressor, image: Image, effort: Search | None = None) -> Row:
    """Code one photo; without search, let the float model say what it would be."""
    start = time.perf_counter()
    (stream,) = compressor.compress([image], effort)
    middle = time.perf_counter()
    (decoded,) = compressor.decompress([stream])
    end = time.perf_counter()
    row: Row = {
        "bytes": len(stream),
        "bpp": bpp(stream, image),
        "psnr": psnr(decoded, image),
        "ms_ssim": ms_ssim(decoded, image),
        "seconds_encode": middle - start,
        "seconds_decode": end - middle,
    }
    if effort:
        return row
    ideal, reconstruction = by_likelihood(compressor.model, image)
    return row | {
        "float_bytes": ideal,
        "float_bpp": 8 * ideal / (image.shape[0] * image.shape[1]),
        "float_psnr": psnr(reconstruction, image),
        "float_ms_ssim": ms_ssim(reconstruction, image),
    }


@torch.no_grad()
def by_likelihood(model: LearnedModel, image: Image) -> tuple[float, Image]:
    """Bytes by the float model's `-log2` likelihoods, and its reconstruction."""
    output = model.eval()(to_tensor([image]).contiguous())
    pixels = image.shape[0] * image.shape[1]
    return float(output.bpp[0]) * pixels / 8, to_images(output.x_hat)[0]
