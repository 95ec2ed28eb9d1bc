"""Preprocessors by spec: `none`, `blur:1.0`, `downscale:0.6+default`, a model directory. No torch.

What needs torch or ONNX Runtime is named by its module and imported when it is asked for.
"""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from tamis.errors import MissingPackageError, TamisError, UnknownNameError
from tamis.preprocessing.base import Preprocessor
from tamis.preprocessing.baselines import Blur, Downscale, Lowpass, Unchanged
from tamis.preprocessing.card import ONNX
from tamis.preprocessing.chain import Chain
from tamis.spec import Spec


def get_preprocessor(spec: str | Preprocessor) -> Preprocessor:
    """The preprocessor of a spec; several joined by `+` are applied in order.

    A spec is a name with options, the name of a shipped model, or the path of a model directory
    (or of the `model.onnx` in it).

    >>> get_preprocessor("downscale:0.5+blur:1").name
    'downscale:0.5+blur:1'

    Raises:
        UnknownNameError: no preprocessor, or no option, of that name.
        MissingPackageError: it needs packages of the extra `lab`.
        TamisError: a value it does not take, or a model that does not load.
    """
    if not isinstance(spec, str):
        return spec
    parts = _split(spec)
    if not all(parts):
        raise TamisError(f"'{spec}' has an empty part; expected name+name")
    made = [_from_path(part) if _is_path(part) else _one(part) for part in parts]
    return made[0] if len(made) == 1 else Chain(made)


def list_preprocessors() -> list[str]:
    """Names that a spec can begin with."""
    return list(FACTORIES)


def _one(text: str) -> Preprocessor:
    spec = Spec.parse(text)
    if spec.name in FACTORIES:
        return FACTORIES[spec.name](spec)
    models = _shipped()
    if spec.name in models:
        return _model(spec)
    raise UnknownNameError("preprocessor", spec.name, [*FACTORIES, *models])


def _split(spec: str) -> list[str]:
    """The parts of a chain; `+` also joins the models of `refine:models=a+b`, which stay whole."""
    parts: list[str] = []
    for part in spec.split("+"):
        named = part.strip().split(":")[0] in FACTORIES
        if parts and not named and parts[-1].startswith("refine:") and "models=" in parts[-1]:
            parts[-1] += "+" + part.strip()
        else:
            parts.append(part.strip())
    return parts


def _is_path(text: str) -> bool:
    if text.split(":")[0] in FACTORIES:
        return False
    return text.endswith(".onnx") or ("/" in text and Path(text).is_dir())


def _from_path(text: str) -> Preprocessor:
    path = Path(text)
    if text.endswith(".onnx"):
        if not path.is_file():
            raise TamisError(f"there is no file {path}")
        if path.name != ONNX:
            raise TamisError(f"a model is a directory with {ONNX} and card.yaml, not {path}")
        path = path.parent
    runtime = importlib.import_module("tamis.preprocessing.runtime")
    return cast(Preprocessor, runtime.OnnxPreprocessor(path, name=text))


def _shipped() -> list[str]:
    return cast(list[str], importlib.import_module("tamis.preprocessing.zoo").list_models())


def _model(spec: Spec) -> Preprocessor:
    """`default-jpeg`, with the options of `default`."""
    zoo = importlib.import_module("tamis.preprocessing.zoo")
    return cast(Preprocessor, zoo.load(spec.name, **_model_options(spec)))


def _default(spec: Spec) -> Preprocessor:
    """`default`, `default:threads=2`, `default:scale=keep`."""
    module = importlib.import_module("tamis.preprocessing.default")
    return cast(Preprocessor, module.DefaultPreprocessor(**_model_options(spec)))


def _model_options(spec: Spec) -> dict[str, Any]:
    _takes(spec, "threads", "scale")
    threads, scale = spec.options.get("threads", "0"), spec.options.get("scale", "model")
    if not threads.isascii() or not threads.isdigit():
        raise TamisError(f"{spec.name} threads is a whole number, not '{threads}'")
    if scale not in ("model", "keep"):
        raise TamisError(f"{spec.name} scale is one of model, keep, not '{scale}'")
    return {"threads": int(threads), "keep_size": scale == "keep"}


def _network(spec: Spec) -> Preprocessor:
    """`npp`, `npp-lite:weights=PATH`."""
    _takes(spec, "weights")
    module = _lab("tamis.preprocessing.module", spec.name)
    network = module.load_network(spec.name, spec.options.get("weights"))
    given = f":weights={spec.options['weights']}" if "weights" in spec.options else ""
    return cast(Preprocessor, module.TorchPreprocessor(network, spec.name + given))


def _refine(spec: Spec) -> Preprocessor:
    """`refine:steps=32`; it lives above this package, so it is known by name alone."""
    return cast(Preprocessor, _lab("tamis.training.refine", spec.name).Refine.from_spec(spec))


def _lab(module: str, name: str) -> Any:
    """Import a module of ours that needs the extra `lab`."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == "tamis":
            raise
        raise MissingPackageError(
            f"preprocessor {name} needs {error.name}: pip install 'tamis[lab]'"
        ) from error


def _takes(spec: Spec, *options: str) -> None:
    """Refuse a positional value, and options other than those named."""
    if spec.value is not None:
        raise TamisError(f"preprocessor {spec.name} takes no value, but was given '{spec.value}'")
    _only(spec, *options)


def _only(spec: Spec, *options: str) -> None:
    for key in spec.options:
        if not options:
            raise TamisError(f"preprocessor {spec.name} has no options, but was given '{key}'")
        if key not in options:
            raise UnknownNameError(f"{spec.name} option", key, options)


def _unchanged(spec: Spec) -> Preprocessor:
    _takes(spec)
    return Unchanged()


def _blur(spec: Spec) -> Preprocessor:
    return Blur(_number(spec, "blur:1.0"))


def _downscale(spec: Spec) -> Preprocessor:
    return Downscale(_number(spec, "downscale:0.75"))


def _lowpass(spec: Spec) -> Preprocessor:
    return Lowpass(_number(spec, "lowpass:0.6"))


def _number(spec: Spec, example: str) -> float:
    """The positional value of `spec`, which has no options; `example` shows a right spec."""
    _only(spec)
    try:
        return float(spec.value or "")
    except ValueError:
        given = "no value" if spec.value is None else f"'{spec.value}'"
        raise TamisError(f"{spec.name} takes a number, as in {example}, not {given}") from None


FACTORIES: dict[str, Callable[[Spec], Preprocessor]] = {
    "none": _unchanged,
    "blur": _blur,
    "downscale": _downscale,
    "lowpass": _lowpass,
    "default": _default,
    "npp": _network,
    "npp-lite": _network,
    "npp-dct": _network,
    "refine": _refine,
}
"""Every preprocessor of this package; the order is the order of tables."""
