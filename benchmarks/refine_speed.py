"""What a second of `refine` buys, beside the recipe that it was made from.

    python benchmarks/refine_speed.py --photos FOLDER --count 16

The peer is the recipe as it was first found: a new random move and a fresh pass of the original at
every step, a constant step size of 1.5/255, the gradient smoothed by a 3x3 box; with one network a
step (`turns`) or every network at every step (`all`). Codec, proxy, rate calibration, price of a
nat and weight of the squared error are those of `refine`, so only the loops differ. Times are
processor seconds, so that other work on the machine does not count, without the loading of
networks. Files are judged by a network that took part in neither loop: how many bits plain JPEG
needs for the same KL divergence, and how many were saved a second.
"""

import argparse
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table

from tamis.codecs import Image, bpp, get_codec
from tamis.data import list_photos, load_photo, sample_photos
from tamis.proxies import RateSlope, RealCodec, get_proxy
from tamis.tasks import Classify
from tamis.tasks.pixels import centre_crop, resize, to_images, to_tensor
from tamis.training.augmentation import Augmentation
from tamis.training.lagrangian import PlainCurve
from tamis.training.recipe import AugmentationRecipe
from tamis.training.refine import DEFAULT_MODELS, Refine

UNSEEN = "efficientnet_lite2"
SIDE = 224
PRICE = 1.4
"""bpp per nat at JPEG quality 20, as in `refine`."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, help="a folder; else crops of sample photos")
    parser.add_argument("--count", type=int, default=16)
    parser.add_argument("--steps", type=int, nargs="+", default=[8, 16, 32])
    parser.add_argument("--peer-steps", type=int, nargs="+", default=[15, 48])
    arguments = parser.parse_args()
    photos = gather(arguments.photos, arguments.count)
    known, judge = [Classify(name) for name in DEFAULT_MODELS], Classify(UNSEEN)
    refine = Refine(steps=1)
    refine.batch(photos[:1], get_codec("jpeg"), 20)  # loads its networks

    def ours(steps: int) -> list[Image]:
        refine.steps = steps
        return refine.batch(photos, get_codec("jpeg"), 20)

    methods = [("refine", steps, partial(ours, steps)) for steps in arguments.steps]
    for name, every in (("peer, all", True), ("peer, turns", False)):
        for steps in arguments.peer_steps:
            methods.append((name, steps, partial(peer, photos, known, steps, every)))
    compare(photos, known, judge, methods)


def gather(folder: Path | None, count: int) -> list[Image]:
    """`count` pictures of 224x224: central squares of photos, or random squares of the samples."""
    if folder:
        paths = list_photos(folder)
        chosen = [paths[i * len(paths) // count] for i in range(count)]
        return [centre_crop(load_photo(path), SIDE, 1.0) for path in chosen]
    random, samples = np.random.default_rng(0), list(sample_photos().values())
    crops = []
    for i in range(count):
        photo = samples[i % len(samples)]
        side = int(random.integers(SIDE, min(photo.shape[:2]) + 1))
        y, x = (int(random.integers(0, length - side + 1)) for length in photo.shape[:2])
        crops.append(resize(photo[y : y + side, x : x + side], SIDE, SIDE))
    return crops


def peer(photos: list[Image], tasks: list[Classify], steps: int, every: bool) -> list[Image]:
    """The recipe of the first experiments, on one batch."""
    codec, rng = get_codec("jpeg"), np.random.default_rng(0)
    proxy, real, slope = get_proxy(codec, Refine.LEAK), RealCodec(codec.draft()), RateSlope()
    moves = AugmentationRecipe(shift=0.02, scale=0.1, flip=True)
    original = to_tensor(photos).contiguous()
    plain_rate, plain_predicted = real(original, 20)[1], proxy(original, 20)[1]
    x = original.clone().requires_grad_()
    adam = torch.optim.Adam([x], lr=1.5 / 255, betas=Refine.BETAS)
    for step in range(steps):
        reconstruction, predicted = proxy(x, 20)
        decoded, rate = real(x, 20)
        slope.update(predicted.detach() - plain_predicted, rate - plain_rate)
        coded = reconstruction + (decoded - reconstruction).detach()
        loss = slope.value * predicted
        loss = loss + Refine.FIDELITY * (x - original).square().flatten(1).mean(dim=1)
        chosen = tasks if every else [tasks[step % len(tasks)]]
        for task in chosen:
            move = Augmentation.draw(moves, len(photos), rng)
            with torch.no_grad():
                reference = task.outputs(move(original))
            loss = loss + PRICE / len(chosen) * task.loss(task.outputs(move(coded)), reference)
        (gradient,) = torch.autograd.grad(loss.sum(), x)
        x.grad = F.avg_pool2d(F.pad(gradient, (1, 1, 1, 1), mode="replicate"), 3, 1)
        adam.step()
        x.data.clamp_(0, 1)
    return to_images(x)


def compare(
    photos: list[Image],
    known: list[Classify],
    judge: Classify,
    methods: list[tuple[str, int, partial[list[Image]]]],
) -> None:
    codec = get_codec("jpeg")
    references = {task.name: task.predict(photos) for task in (*known, judge)}

    def judged(images: list[Image], quality: int, *tasks: Classify) -> tuple[float, ...]:
        """Mean rate of the files, and the mean KL divergence of each task."""
        files = [codec.encode(image, quality) for image in images]
        decoded = [codec.decode(file) for file in files]
        rates = [bpp(file, photo) for file, photo in zip(files, photos, strict=True)]
        scores = [t.score(t.predict(decoded), references[t.name])["kl"].mean() for t in tasks]
        return float(np.mean(rates)), *map(float, scores)

    qualities = (*codec.quality.ladder, 90, 95)
    points = [judged(photos, quality, judge) for quality in qualities]
    plain = PlainCurve(qualities, *map(tuple, zip(*points, strict=True)))
    columns = ["method", "steps", "CPU s/photo", "bpp", "KL known", "KL unseen", "plain bpp"]
    where = f"{torch.get_num_threads()} thread(s)"
    title = f"{len(photos)} photos, JPEG quality 20, judged by {UNSEEN}, {where}"
    table = Table(*columns, "saved", "bits/s", title=title)
    rate, *others = judged(photos, 20, *known, judge)
    known_kl, unseen = np.mean(others[:-1]), others[-1]
    table.add_row("plain", "", "", f"{rate:.3f}", f"{known_kl:.3f}", f"{unseen:.3f}", "", "", "")
    for name, steps, method in methods:
        start = time.process_time()
        images = method()
        seconds = (time.process_time() - start) / len(photos)
        rate, *others = judged(images, 20, *known, judge)
        needed = plain.rate_at(others[-1])
        numbers = f"{seconds:.2f}", f"{rate:.3f}", f"{np.mean(others[:-1]):.3f}"
        gain = f"{100 * (1 - rate / needed):.1f} %", f"{(needed - rate) * SIDE**2 / seconds:,.0f}"
        table.add_row(name, str(steps), *numbers, f"{others[-1]:.3f}", f"{needed:.3f}", *gain)
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
