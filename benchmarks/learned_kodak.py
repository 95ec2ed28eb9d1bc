"""Rate-distortion of the learned codecs on Kodak, from real streams, beside JPEG, BPG and VVC.

    python benchmarks/learned_kodak.py --photos ../shared/data/kodak --out runs/kodak

prints four Markdown tables: every package of learned codecs and what others need for its PSNR;
BD-rates; streams against the float model's likelihoods; integer against float. `OUT` gets
`images.csv` (a row per image), `means.csv` (a point per codec and quality) and the curves as
`learned_kodak.png` and `.svg`. Photos already coded are not coded again, so a run may be stopped.

"Lee et al. 2019" is the curve published in that paper, not measured here. A BD-rate has its 95 %
interval over images and needs three rates of a model. BPG is x265 `veryslow`, VVC libvvenc
`medium`.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import learned_kodak_tables as tables
import matplotlib as mpl
import numpy as np
import polars as pl
import torch
from learned_kodak_models import measure_packages, name_and_rate
from learned_kodak_plain import QUALITIES, measure_plain, plan_plain
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tamis.bench.figures import MARKERS, MUTED, STRONG, STYLE, save_figure
from tamis.bench.metrics import PIXEL_MEASURES
from tamis.data import list_photos
from tamis.learned.zoo import shipped_codecs

LEE = "Lee et al. 2019"
TITLES = {
    "jpeg": "JPEG",
    "bpg": "BPG 4:2:0",
    "bpg:chroma=444": "BPG 4:4:4",
    "vvc": "VVC",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--packages", type=Path, nargs="*", help="instead of all that are shipped")
    parser.add_argument("--codecs", nargs="*", default=list(QUALITIES), choices=list(QUALITIES))
    parser.add_argument("--out", type=Path, default=Path("runs/kodak"))
    parser.add_argument("--search", type=int, default=0, help="also code with so many search steps")
    parser.add_argument("--searched", nargs="*", default=["context-adaptive"], help="models to")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    packages = arguments.packages or [d for rates in shipped_codecs().values() for d in rates]
    plan = plan_plain(list_photos(arguments.photos), arguments.codecs)
    plain = measure_plain(plan, arguments.out)
    learned = measure_packages(packages, plan.photos, arguments.out)
    coded = [learned]
    if arguments.search:
        chosen = [path for path in packages if name_and_rate(path)[0] in arguments.searched]
        coded.append(measure_packages(chosen, plan.photos, arguments.out, arguments.search))
    shared = ["image", "image_id", "codec", "quality", "bytes", "bpp", "psnr", "ms_ssim"]
    rows = pl.concat(
        [plain.select(shared), *(rows.cast({"quality": pl.Int64}) for rows in coded)],
        how="diagonal",
    )
    points = tables.means(rows)
    rows.write_csv(arguments.out / "images.csv")
    points.write_csv(arguments.out / "means.csv")
    save_figure(figure(points, arguments.codecs), arguments.out, "learned_kodak")
    models = learned["codec"].unique(maintain_order=True).to_list()
    every = [name for rows in coded for name in rows["codec"].unique(maintain_order=True)]
    print(f"{len(plan.photos)} photos, means over photos\n")
    print(rates_table(points, every, arguments.codecs), "\n")
    print(bd_table(rows, every, arguments.codecs), "\n")
    print(lengths_table(learned), "\n")
    print(integer_table(learned, models))


def curves_of(points: pl.DataFrame, codecs: Sequence[str]) -> dict[str, list[tuple[float, float]]]:
    """Mean (bpp, PSNR) of each codec by the name in tables, and the published curve."""
    measured = {
        TITLES.get(codec, codec): list(points.filter(codec=codec).select("bpp", "psnr").iter_rows())
        for codec in codecs
    }
    return {**measured, LEE: list(tables.LEE_2019)}


def rates_table(points: pl.DataFrame, models: Sequence[str], codecs: Sequence[str]) -> str:
    """Every package: mean rate and quality, and the rate of others at the same mean PSNR."""
    others = curves_of(points, codecs)
    lines = []
    for model in models:
        for row in points.filter(codec=model).iter_rows(named=True):
            needs = [tables.rate_at(curve, row["psnr"]) for curve in others.values()]
            lines.append(
                [
                    f"{model} {row['quality']}",
                    f"{row['bpp']:.3f}",
                    f"{row['psnr']:.2f}",
                    f"{row['ms_ssim']:.4f}",
                    *(f"{rate:.3f} ({row['bpp'] / rate - 1:+.0%})" for rate in needs),
                ]
            )
    heads = ["package", "bpp", "PSNR dB", "MS-SSIM", *(f"{name}, bpp" for name in others)]
    return tables.markdown(heads, [[c.replace("nan (+nan%)", "-") for c in ln] for ln in lines])


def bd_table(rows: pl.DataFrame, models: Sequence[str], codecs: Sequence[str]) -> str:
    """BD-rate of all rates of a model together against each codec."""
    lines = [
        [model, measure.label]
        + [tables.interval(tables.compare(rows, codec, model, name)) for codec in codecs]
        for model in models
        for name, measure in PIXEL_MEASURES.items()
    ]
    heads = ["BD-rate of", "at equal", *(f"against {TITLES.get(c, c)}" for c in codecs)]
    return tables.markdown(heads, lines)


def lengths_table(learned: pl.DataFrame) -> str:
    """Streams against the float model's own likelihoods."""
    lines = [
        [
            f"{row['codec']} {row['quality']}",
            f"{row['bytes']:,.0f}",
            f"{row['float_bytes']:,.0f}",
            f"{row['worst']:.2f} %",
            f"{row['most']:+,.0f}",
            f"{row['within']} of {row['n']}",
        ]
        for row in tables.code_lengths(learned).iter_rows(named=True)
    ]
    claim = f"within {tables.RELATIVE:.0%} + {tables.SLACK} bytes"
    heads = ["package", "bytes", "-log2 likelihood", "largest difference", "most bytes over", claim]
    return tables.markdown(heads, lines)


def integer_table(learned: pl.DataFrame, models: Sequence[str]) -> str:
    """What integer arithmetic costs, per package, and as BD-rate over the rates of a model."""
    costs = tables.integer_cost(learned)
    bare = tables.without_header(learned)
    lines = []
    for model in models:
        for row in costs.filter(codec=model).iter_rows(named=True):
            name = f"{model} {row['quality']}"
            numbers = f"{row['rate']:+.2f} %", f"{row['bare']:+.2f} %", f"{row['psnr']:+.4f}"
            lines.append([name, *numbers])
        found = [tables.compare(rows, model, model, "psnr", "float_") for rows in (learned, bare)]
        texts = [bd if isinstance(bd, str) else f"{bd.percent:+.2f} %" for bd in found]
        lines.append([f"{model}, BD-rate", *texts, ""])
    heads = ["streams against the float model", "rate", "without container", "PSNR dB"]
    return tables.markdown(heads, lines)


def figure(points: pl.DataFrame, codecs: Sequence[str]) -> Figure:
    """PSNR and MS-SSIM over the rate: codecs in muted colours, learned models in strong ones."""
    with mpl.rc_context(STYLE):
        drawing = Figure(figsize=(11, 4.8), layout="constrained")
        left, right = drawing.subplots(1, 2)
    models = [name for name in points["codec"].unique(maintain_order=True) if name not in codecs]
    left.plot(*zip(*tables.LEE_2019, strict=True), ":", color="black", label=f"{LEE}, published")
    for names, colours, width in ((codecs, MUTED, 1.4), (models, STRONG, 2.2)):
        for i, name in enumerate(names):
            own = points.filter(codec=name)
            style = {"color": colours[i % len(colours)], "marker": MARKERS[i % len(MARKERS)]}
            label = TITLES.get(name, name)
            for axes, values in ((left, own["psnr"]), (right, -10 * np.log10(1 - own["ms_ssim"]))):
                axes.plot(own["bpp"], values, linewidth=width, markersize=4, label=label, **style)
    _finish(left, "PSNR (dB)")
    _finish(right, "MS-SSIM (dB)")
    left.legend(fontsize=9)
    return drawing


def _finish(axes: Axes, label: str) -> None:
    axes.set_xlim(0, 1.25)
    axes.set_xlabel("rate (bits per pixel, mean over photos)")
    axes.set_ylabel(label)


if __name__ == "__main__":
    main()
