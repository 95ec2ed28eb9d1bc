"""What a trained side is worth on photos it never saw: real files, scored by every judge, kept."""

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from tamis.codecs import Codec, Image
from tamis.data import list_photos, load_photo
from tamis.data.folders import labels_of
from tamis.errors import TamisError
from tamis.mirror import write_whole
from tamis.preprocessing import get_preprocessor
from tamis.proxies import RealCodec
from tamis.tasks import DifferentiableTask, LabelledTask, get_differentiable
from tamis.tasks.pixels import to_tensor
from tamis.training.ablation_recipe import EvaluationRecipe, JudgeRecipe
from tamis.training.photos import central

Array = npt.NDArray[np.float64]
BATCH = 12


@dataclass(frozen=True)
class Scores:
    """One side with one seed at one quality, photo by photo.

    Attributes:
        rates: bits per pixel of the photo `(N,)`.
        distances: loss of each judge `(J, N)`.
        errors: mean squared error of the filtered photo, in grey levels squared, `(N,)`.
    """

    rates: Array
    distances: Array
    errors: Array


class Evaluation:
    """Codes the evaluation photos and scores them; what was scored once is read from `folder`.

    Args:
        recipe: photos and judges.
        side: of the square pictures, pixels.
        codec: the real codec.
        threads: photos coded at once.
        folder: where scores are kept.

    Raises:
        TamisError: too few photos, a judge not to be had, or photos without a label that a judge
            needs.
    """

    def __init__(
        self, recipe: EvaluationRecipe, side: int, codec: Codec, threads: int, folder: Path
    ) -> None:
        self.recipe = recipe
        self.codec = codec
        self.folder = folder
        self._real = RealCodec(codec, threads)
        found = list_photos(Path(os.path.expandvars(recipe.folder)).expanduser())
        if len(found) < recipe.photos:
            raise TamisError(
                f"{recipe.folder} holds {len(found)} photos; evaluation.photos is {recipe.photos}"
            )
        paths = [found[i * len(found) // recipe.photos] for i in range(recipe.photos)]
        self.photos = [central(load_photo(path), side) for path in paths]
        self.labels = labels_of(paths)
        if any(judge.loss == "labels" for judge in recipe.judges) and None in self.labels:
            raise TamisError(f"{paths[self.labels.index(None)]} has no label, which a judge needs")
        self.tasks = [get_differentiable(os.path.expandvars(j.spec)) for j in recipe.judges]
        names = "\n".join(path.name for path in paths)
        self._about = f"{codec} {side} {recipe.model_dump_json()} {names}"

    def scores(
        self, about: str, preprocessor: str, qualities: Sequence[int], tuned: Path | None = None
    ) -> list[Scores]:
        """Scores at each of `qualities`.

        Args:
            about: what tells this side from others: fingerprints of its recipes, or `none`.
            preprocessor: spec or model directory.
            qualities: of the codec.
            tuned: weights for the first judge, which is still compared with the untuned one's view
                of the originals.
        """
        return [self._kept(f"{about} {q}", preprocessor, q, tuned) for q in qualities]

    def _kept(self, about: str, preprocessor: str, quality: int, tuned: Path | None) -> Scores:
        key = sha256(f"{about}\n{self._about}".encode()).hexdigest()[:20]
        path = self.folder / f"{key}.npz"
        if path.exists():
            with np.load(path, allow_pickle=False) as kept:
                return Scores(kept["rates"], kept["distances"], kept["errors"])
        scores = self._score(preprocessor, quality, tuned)
        buffer = io.BytesIO()
        np.savez(buffer, **vars(scores))
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, buffer.getvalue())
        return scores

    def _score(self, preprocessor: str, quality: int, tuned: Path | None) -> Scores:
        preprocess = get_preprocessor(preprocessor)
        filtered = [preprocess(photo, self.codec, quality) for photo in self.photos]
        decoded, rates = self._real.code(filtered, quality)
        shares = [image[..., 0].size / self.photos[0][..., 0].size for image in filtered]
        learners = list(self.tasks)
        if tuned is not None:
            spec = os.path.expandvars(self.recipe.judges[0].spec)
            learners[0] = get_differentiable(f"{spec}:tuned={tuned}")
        judged = zip(self.recipe.judges, learners, self.tasks, strict=True)
        pairs = zip(filtered, self.photos, strict=True)
        return Scores(
            rates=np.asarray(rates) * shares,
            distances=np.stack([self._distances(*one, decoded) for one in judged]),
            errors=np.array(
                [
                    np.square(a.astype(np.float64) - b).mean() if a.shape == b.shape else np.nan
                    for a, b in pairs
                ]
            ),
        )

    @torch.no_grad()
    def _distances(
        self,
        judge: JudgeRecipe,
        task: DifferentiableTask,
        clean: DifferentiableTask,
        decoded: Sequence[Image],
    ) -> Array:
        parts = []
        for start in range(0, len(decoded), BATCH):
            part = slice(start, start + BATCH)
            x_hat = to_tensor(decoded[part])
            if judge.loss == "labels":
                if not isinstance(task, LabelledTask):
                    raise TamisError(f"{task.name} has no loss on labels; use loss: outputs")
                parts.append(task.label_loss(x_hat, self.labels[part]))
            else:
                reference = clean.outputs(to_tensor(self.photos[part]))
                parts.append(clean.loss(task.outputs(x_hat), reference))
        return np.asarray(torch.cat(parts).double().numpy())
