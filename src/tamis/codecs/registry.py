"""Codecs by name, with options, and by the first bytes of a file."""

from dataclasses import fields
from typing import Any, get_args, get_type_hints

from tamis.codecs.base import Codec, Image
from tamis.codecs.jpeg import Jpeg
from tamis.codecs.vvc import Vvc
from tamis.errors import CorruptFileError, MissingPackageError, TamisError, UnknownNameError
from tamis.spec import Spec

CODECS: dict[str, type[Codec]] = {cls.name: cls for cls in (Jpeg, Vvc)}
"""Every codec of this package; the order is the order of `tamis codecs`."""


def list_codecs(usable: bool = True) -> list[str]:
    """Names of the codecs, by default only those whose packages are installed."""
    return [name for name, cls in CODECS.items() if not usable or cls.missing() is None]


def get_codec(spec: str | Codec) -> Codec:
    """The codec of a spec such as `"jpeg"` or `"jpeg:subsampling=444:progressive=false"`.

    Raises:
        UnknownNameError: no codec of that name.
        MissingPackageError: its package is not installed.
        TamisError: an option it does not have, or a value outside the option's choices.
    """
    if isinstance(spec, Codec):
        return spec
    parsed = Spec.parse(spec)
    if parsed.name not in CODECS:
        raise UnknownNameError("codec", parsed.name, CODECS)
    cls = CODECS[parsed.name]
    if parsed.value is not None:
        raise TamisError(f"codec options are written key=value, not '{parsed.value}'")
    if missing := cls.missing():
        raise MissingPackageError(f"codec {cls.name} needs a package: pip install {missing}")
    return cls(**_options(cls, parsed.options))


def _options(cls: type[Codec], texts: dict[str, str]) -> dict[str, Any]:
    hints = get_type_hints(cls)
    known = [f.name for f in fields(cls)]  # type: ignore[arg-type]
    options: dict[str, Any] = {}
    for key, text in texts.items():
        if key not in known:
            raise UnknownNameError(f"{cls.name} option", key, known)
        choices = {str(choice).lower(): choice for choice in _choices(hints[key])}
        if text.lower() not in choices:
            raise TamisError(f"{cls.name} {key} is one of {', '.join(choices)}, not '{text}'")
        options[key] = choices[text.lower()]
    return options


def _choices(hint: Any) -> list[Any]:
    if hint is bool:
        return [True, False]
    parts = get_args(hint)
    return [
        choice
        for part in parts
        for choice in (_choices(part) if part is bool or get_args(part) else [part])
    ]


def sniff(data: bytes) -> Codec:
    """The codec whose files begin like `data`.

    Raises:
        CorruptFileError: no codec recognizes it.
        MissingPackageError: the codec that does is not installed.
    """
    for name, cls in CODECS.items():
        if cls.recognizes(data[:64]):
            return get_codec(name)
    raise CorruptFileError(
        f"these {len(data)} bytes begin like no format known: {', '.join(CODECS)}"
    )


def decode(data: bytes) -> Image:
    """Decode a file of any known format to `uint8 (H, W, 3)`; the format is read from its bytes."""
    return sniff(data).decode(data)
