"""The model card: what a shipped network is, what it was made of, and the hashes of its files."""

import difflib
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tamis.errors import RecipeError, TamisError

CARD = "card.yaml"
ONNX = "model.onnx"
SAFETENSORS = "model.safetensors"

Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Factor = Annotated[float, Field(gt=0, le=1)]


class Card(BaseModel):
    """`card.yaml` of a model directory.

    Attributes:
        name: the model's name, that of its directory.
        network: the network its weights belong to.
        codecs: lowest and highest quality trained for, by codec name.
        scale: for models that also pick the resolution: by codec name, factor by quality.
        recipe: the recipe that reproduces it.
        data: what it was trained on.
        metrics: what was measured, and by which command.
        licence: SPDX identifier.
        tamis: version that wrote it.
        parameters: number of weights.
        macs_per_pixel: multiply-accumulates per pixel.
        multiple: heights and widths it takes are multiples of this.
        halo: how far an output pixel looks, in pixels.
        files: SHA-256 by file name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    network: str
    codecs: dict[str, tuple[int, int]] = Field(min_length=1)
    scale: dict[str, dict[int, Factor]] = {}
    recipe: str
    data: str
    metrics: dict[str, Any] = {}
    licence: str
    tamis: str
    parameters: int = Field(gt=0)
    macs_per_pixel: float = Field(gt=0)
    multiple: int = Field(gt=0)
    halo: int = Field(ge=0)
    files: dict[str, Hash]

    def read(self, directory: Path, name: str) -> bytes:
        """The bytes of file `name` of the model, verified.

        Raises:
            TamisError: the file is not on the card, is missing, or has another hash.
        """
        if name not in self.files:
            raise TamisError(f"the card of model {self.name} does not list {name}")
        path = directory / name
        try:
            data = path.read_bytes()
        except OSError as error:
            raise TamisError(f"model {self.name} lacks its file {path}") from error
        if hashlib.sha256(data).hexdigest() != self.files[name]:
            raise TamisError(f"{path} is not the file its card describes: the SHA-256 differs")
        return data


def load_card(directory: Path) -> Card:
    """Read and validate `directory/card.yaml`.

    Raises:
        TamisError: there is no card.
        RecipeError: not YAML, an unknown key (names the nearest), a missing or wrong value.
    """
    path = directory / CARD
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise TamisError(f"there is no model card {path}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not YAML") from error
    if not isinstance(content, Mapping):
        raise RecipeError(f"{path} holds no keys; expected name, network, codecs and so on")
    try:
        return Card.model_validate(content)
    except ValidationError as error:
        raise RecipeError(f"{path}: {_first_problem(error)}") from error


def _first_problem(error: ValidationError) -> str:
    """The first thing pydantic found, in one line."""
    problem = error.errors()[0]
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        near = difflib.get_close_matches(key, Card.model_fields, n=1, cutoff=0.4)
        hint = f"did you mean '{near[0]}'? " if near else ""
        return f"unknown key '{key}'; {hint}known: {', '.join(Card.model_fields)}"
    return f"{key}: {problem['msg'].lower()}"
