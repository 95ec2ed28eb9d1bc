"""The card of a model directory: what its files are, where they come from, and their hashes."""

import difflib
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tamis.errors import RecipeError, TamisError

CARD = "card.yaml"
SAFETENSORS = "model.safetensors"

Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class ModelCard(BaseModel):
    """What the `card.yaml` of every model directory says; each kind of model adds its own keys.

    Attributes:
        name: the model's name, that of its directory.
        recipe: the recipe that reproduces it.
        data: what it was trained on.
        metrics: what was measured, and by which command.
        licence: SPDX identifier.
        tamis: version that wrote it.
        parameters: number of weights.
        macs_per_pixel: multiply-accumulates per pixel.
        files: SHA-256 by file name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    recipe: str
    data: str
    metrics: dict[str, Any] = {}
    licence: str
    tamis: str
    parameters: int = Field(gt=0)
    macs_per_pixel: float = Field(gt=0)
    files: dict[str, Hash]

    @classmethod
    def load(cls, directory: Path) -> Self:
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
            raise RecipeError(f"{path} holds no keys; expected {', '.join(cls._keys()[:3])} ...")
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise RecipeError(f"{path}: {cls._first_problem(error)}") from error

    def to_yaml(self) -> bytes:
        """The content of `card.yaml`."""
        content = self.model_dump(mode="json", by_alias=True)
        return yaml.safe_dump(content, sort_keys=False, encoding="utf-8", allow_unicode=True)

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
        if sha256(data) != self.files[name]:
            raise TamisError(f"{path} is not the file its card describes: the SHA-256 differs")
        return data

    @classmethod
    def _keys(cls) -> list[str]:
        return [field.alias or name for name, field in cls.model_fields.items()]

    @classmethod
    def _first_problem(cls, error: ValidationError) -> str:
        """The first thing pydantic found, in one line."""
        problem = error.errors()[0]
        key = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            near = difflib.get_close_matches(key, cls._keys(), n=1, cutoff=0.4)
            hint = f"did you mean '{near[0]}'? " if near else ""
            return f"unknown key '{key}'; {hint}known: {', '.join(cls._keys())}"
        return f"{key}: {problem['msg'].lower()}"


def sha256(data: bytes) -> str:
    """The hash of `data`, 64 hex digits."""
    return hashlib.sha256(data).hexdigest()
