"""How well each codec's proxy predicts real file sizes: correlation over photos, by quality."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from rich.console import Console
from rich.table import Table

from tamis.codecs import Codec, Image, get_codec
from tamis.data import list_photos, load_photo
from tamis.errors import TamisError
from tamis.proxies import RealCodec, get_proxy
from tamis.tasks.pixels import centre_crop, to_images, to_tensor

SIDE = 224


def proxy_table(photos: Sequence[Image], codecs: Sequence[str | Codec]) -> pl.DataFrame:
    """One row per codec and quality of its default ladder, over photos of one size.

    Columns: `codec`, `quality`, `correlation` of predicted and real bpp over photos, `ratio` of
    their means (real / predicted), `slope` and `slope_correlation` of real against predicted
    bpp *differences* when the photos are slightly blurred, which is what drives a filter, and
    `error`, the mean absolute difference of both reconstructions in grey levels.

    Raises:
        TamisError: fewer than three photos, or a codec without a proxy.
    """
    if len(photos) < 3:
        raise TamisError(f"a correlation needs at least 3 photos; there are {len(photos)}")
    x = to_tensor(photos)
    blurred = 0.6 * x + 0.4 * torch.nn.functional.avg_pool2d(
        torch.nn.functional.pad(x, (1, 1, 1, 1), mode="reflect"), 3, 1
    )
    softer = to_tensor(to_images(blurred))
    rows = []
    for spec in codecs:
        codec = get_codec(spec)
        proxy, real = get_proxy(codec), RealCodec(codec)
        for quality in codec.quality.ladder:
            with torch.no_grad():
                reconstruction, predicted = proxy(x, quality)
                change = (proxy(softer, quality)[1] - predicted).numpy()
            decoded, rate = real(x, quality)
            real_change = (real(softer, quality)[1] - rate).numpy()
            rows.append(
                {
                    "codec": codec.name,
                    "quality": quality,
                    "correlation": _correlation(predicted.numpy(), rate.numpy()),
                    "ratio": float(rate.mean() / predicted.mean()),
                    "slope": float((change * real_change).sum() / (change * change).sum()),
                    "slope_correlation": _correlation(change, real_change),
                    "error": float(255 * (reconstruction - decoded).abs().mean()),
                }
            )
    return pl.DataFrame(rows)


def _correlation(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> float:
    return float(np.corrcoef(a, b)[0, 1])


def report(photos: Sequence[Path], codecs: Sequence[str], console: Console) -> pl.DataFrame:
    """Print `proxy_table` for the central squares of photos, resized to 224 pixels.

    Args:
        photos: files, or folders that are searched.
        codecs: codec specs.
        console: where the table goes.

    Raises:
        TamisError: as `proxy_table`, or a photo that cannot be read.
    """
    paths = [
        p for source in photos for p in ([source] if source.is_file() else list_photos(source))
    ]
    table = proxy_table([centre_crop(load_photo(path), SIDE, 1.0) for path in paths], codecs)
    shown = Table(title=f"Analytic proxies against real files, {len(paths)} photos")
    for name in table.columns:
        shown.add_column(name, justify="left" if name == "codec" else "right")
    for row in table.iter_rows():
        shown.add_row(*(f"{v:.3f}" if isinstance(v, float) else str(v) for v in row))
    console.print(shown)
    return table
