"""Codecs by name, with options, and by the first bytes of a file.

Learned codecs stand above this package; what knows them is named by its module and imported when
one is asked for. That still imports no torch, which only their coding needs.
"""

import importlib
from dataclasses import dataclass, fields
from typing import Any, cast, get_args, get_type_hints

from tamis.codecs.avif import Avif
from tamis.codecs.base import Codec, Image
from tamis.codecs.bpg import Bpg
from tamis.codecs.heic import Hevc
from tamis.codecs.jpeg import Jpeg
from tamis.codecs.jxl import Jxl
from tamis.codecs.vvc import Vvc
from tamis.codecs.webp import WebP
from tamis.errors import CorruptFileError, MissingPackageError, TamisError, UnknownNameError
from tamis.spec import Spec

CODECS: dict[str, type[Codec]] = {cls.name: cls for cls in (Jpeg, Bpg, Hevc, Vvc, Avif, WebP, Jxl)}
"""Every codec of a standard format; the order is the order of `tamis codecs`."""

LEARNED = "learned"
"""Specs of learned codecs begin with it: `learned:joint`."""


@dataclass(frozen=True)
class CodecRow:
    """What `tamis codecs` says about one codec.

    Attributes:
        name: what to type.
        suffix: of its files, with the dot.
        unit: what the format calls its quality knob.
        low: smallest quality.
        high: largest quality.
        ascending: whether a larger number means a higher rate.
        usable: whether it works here.
        missing: the package to install where it does not.
        options: its settings and their choices, the default first.
    """

    name: str
    suffix: str
    unit: str
    low: int
    high: int
    ascending: bool
    usable: bool
    missing: str | None
    options: dict[str, tuple[str, ...]]


def describe() -> list[CodecRow]:
    """One row for each codec, in the order of `CODECS`, and then for each learned codec."""
    return [_row(cls) for cls in _classes()]


def _row(cls: type[Codec]) -> CodecRow:
    scale = cls.quality
    missing = cls.missing()
    return CodecRow(
        name=cls.name,
        suffix=cls.suffix,
        unit=scale.unit,
        low=scale.low,
        high=scale.high,
        ascending=scale.ascending,
        usable=missing is None,
        missing=missing,
        options={
            key: tuple(sorted(choices, key=lambda text: choices[text] is not default))
            for key, (choices, default) in _settings(cls).items()
        },
    )


def list_codecs(usable: bool = True) -> list[str]:
    """Names of the codecs, by default only those whose packages are installed."""
    return [cls.name for cls in _classes() if not usable or cls.missing() is None]


def suffixes() -> set[str]:
    """The suffixes of all codecs' files, with the dot."""
    return {cls.suffix for cls in CODECS.values()} | {cast(str, _learned().SUFFIX)}


def get_codec(spec: str | Codec) -> Codec:
    """The codec of a spec such as `"jpeg"` or `"jpeg:subsampling=444:progressive=false"`.

    The value of `learned:` is a model: the name of one, or the path of its directory, as in
    `"learned:joint"` and `"learned:./my-model"`.

    Raises:
        UnknownNameError: no codec of that name, no such model, or no option of that name.
        MissingPackageError: its package is not installed.
        TamisError: a value outside the option's choices.
    """
    if isinstance(spec, Codec):
        return spec
    parsed = Spec.parse(spec)
    if parsed.name == LEARNED:
        return _make(cast(type[Codec], _learned().learned_codec(parsed.value)), parsed.options)
    if parsed.name not in CODECS:
        raise UnknownNameError("codec", parsed.name, [*CODECS, LEARNED])
    if parsed.value is not None:
        raise TamisError(f"codec options are written key=value, not '{parsed.value}'")
    return _make(CODECS[parsed.name], parsed.options)


def _learned() -> Any:
    return importlib.import_module("tamis.learned.codec")


def _classes() -> list[type[Codec]]:
    return [*CODECS.values(), *cast(list[type[Codec]], _learned().list_learned())]


def _make(cls: type[Codec], options: dict[str, str]) -> Codec:
    if missing := cls.missing():
        raise MissingPackageError(f"codec {cls.name} needs a package: pip install '{missing}'")
    return cls(**_options(cls, options))


def _options(cls: type[Codec], texts: dict[str, str]) -> dict[str, Any]:
    settings = _settings(cls)
    options: dict[str, Any] = {}
    for key, text in texts.items():
        if not settings:
            raise TamisError(f"codec {cls.name} has no options, but was given '{key}'")
        if key not in settings:
            raise UnknownNameError(f"{cls.name} option", key, settings)
        choices, _ = settings[key]
        if text.lower() not in choices:
            raise TamisError(f"{cls.name} {key} is one of {', '.join(choices)}, not '{text}'")
        options[key] = choices[text.lower()]
    return options


def _settings(cls: type[Codec]) -> dict[str, tuple[dict[str, Any], Any]]:
    """For each field of a codec, its choices as typed on a command line, and its default."""
    hints = get_type_hints(cls)
    return {
        field.name: (
            {str(choice).lower(): choice for choice in _choices(hints[field.name])},
            field.default,
        )
        for field in fields(cls)  # type: ignore[arg-type]  # every concrete codec is a dataclass
    }


def _choices(hint: Any) -> list[Any]:
    """The values a type hint made of `bool`, `Literal` and unions of them allows."""
    if hint is bool:
        return [True, False]
    parts = get_args(hint)
    if not parts:  # a value inside a Literal
        return [hint]
    return [choice for part in parts for choice in _choices(part)]


def sniff(data: bytes) -> Codec:
    """The codec whose files begin like `data`; for a learned codec, that of the file's model.

    Raises:
        CorruptFileError: no codec recognizes it.
        MissingPackageError: the codec that does is not installed.
        TamisError: the file of a learned codec whose model is not here.
    """
    for cls in CODECS.values():
        if cls.recognizes(data[:64]):
            return _make(cls, {})
    if _learned().recognizes(data[:64]):
        return _make(_learned().codec_of(data), {})
    raise CorruptFileError(
        f"these {len(data)} bytes begin like no format known: {', '.join([*CODECS, LEARNED])}"
    )


def decode(data: bytes) -> Image:
    """Decode a file of any known format to `uint8 (H, W, 3)`; the format is read from its bytes."""
    return sniff(data).decode(data)
