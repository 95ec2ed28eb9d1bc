"""Recipes as files: YAML in, a checked section out, and a mistake named in one line."""

import difflib
import hashlib
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from tamis.errors import RecipeError


class Section(BaseModel):
    """A part of a recipe, or a whole one: no key it does not know, and nothing changes it."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    def document(self) -> dict[str, Any]:
        """Nested plain values, as they stand in YAML."""
        return self.model_dump(mode="json", by_alias=True)

    def digest(self, without: set[str]) -> str:
        """Hash of all but the keys `without`, 16 hexadecimal digits."""
        kept = self.model_dump(mode="json", by_alias=True, exclude=without)
        return hashlib.sha256(yaml.safe_dump(kept).encode()).hexdigest()[:16]


Kind = TypeVar("Kind", bound=Section)


def load(path: str | Path, kind: type[Kind]) -> Kind:
    """Read a recipe of `kind` from YAML.

    Raises:
        RecipeError: no such file, not YAML, an unknown key (the message says where and names the
            nearest key), a missing key, or a value outside its range.
    """
    path = Path(path)
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"no recipe to read at {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise RecipeError(f"{path} is not YAML: {reason}") from error
    return parse(document, kind, str(path))


def parse(document: Any, kind: type[Kind], source: str = "the recipe") -> Kind:
    """Validate a recipe of `kind` given as nested dicts; `source` names it in errors.

    Raises:
        RecipeError: as `load`.
    """
    if not isinstance(document, dict):
        raise RecipeError(f"{source} holds no keys; a recipe is a mapping")
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        raise RecipeError(_one_line(error, kind, source)) from error


def _one_line(error: ValidationError, kind: type[BaseModel], source: str) -> str:
    # An unknown key is the cause more often than the "field required" it brings along.
    first = min(error.errors(), key=lambda item: item["type"] != "extra_forbidden")
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] != "extra_forbidden":
        return f"{source}: {where}: {first['msg'].removeprefix('Value error, ')}"
    *parents, key = first["loc"]
    known = _known_keys(kind, parents)
    near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.4)
    hint = f"did you mean '{near[0]}'? " if near else ""
    place = f" in {'.'.join(str(part) for part in parents)}" if parents else ""
    return f"{source}: unknown key '{key}'{place}; {hint}known: {', '.join(sorted(known))}"


def _known_keys(model: type[BaseModel], location: list[int | str]) -> list[str]:
    """Keys of the section at `location`, walking from `model` by field names and list indices."""
    for part in location:
        # An index of a list or a key of a mapping is no field; it leads to the section within.
        named = (f for n, f in model.model_fields.items() if part in (n, f.alias))
        if (field := next(named, None)) is not None:
            model = _section_of(field.annotation) or model
    return [field.alias or name for name, field in model.model_fields.items()]


def _section_of(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return annotation if issubclass(annotation, BaseModel) else None
    found = (_section_of(part) for part in typing.get_args(annotation))
    return next((section for section in found if section), None)
