"""Every error that Tamis raises on purpose: one base class, one line for the user."""

import difflib
from collections.abc import Iterable


class TamisError(Exception):
    """Something a user can act on. The message is one line: what was wrong, what would be right."""


class CodecError(TamisError):
    """An image could not be encoded: its shape, its size or the quality asked for."""


class CorruptFileError(TamisError):
    """Bytes that are not a whole, valid file of the format they claim to be."""


class LimitError(TamisError):
    """A picture larger than the limit; raised before anything of that size is allocated."""


class MissingPackageError(TamisError):
    """A feature whose optional package is not installed; the message says what to install."""


class RecipeError(TamisError):
    """A recipe or model card that does not validate."""


class UnknownNameError(TamisError):
    """A codec, preprocessor, task or model that does not exist; names the nearest that does."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        known = sorted(known)
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
        hint = f"did you mean '{near[0]}'? " if near else ""
        super().__init__(f"there is no {kind} '{name}'; {hint}known: {', '.join(known)}")
