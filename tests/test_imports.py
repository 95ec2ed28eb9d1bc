"""Imports point one way, and what an engineer installs without torch never asks for it."""

import ast
import subprocess
import sys
import time
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "tamis"

LAYERS = [
    {"errors", "spec", "mirror", "card"},
    {"codecs", "data"},
    {"learned", "preprocessing"},
    {"tasks", "proxies"},
    {"probe"},
    {"bench", "training", "analysis", "compression"},
    {"cli", "web", "demo"},
]
"""What stands lower never imports what stands higher (DESIGN.md: imports point one way)."""

TORCH_FREE = """
import importlib.abc, sys
class NoTorch(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "torchvision", "timm", "lightning"}:
            raise SystemExit(f"{name} was imported")
sys.meta_path.insert(0, NoTorch())
"""


def layer(part: str) -> int:
    return next(i for i, parts in enumerate(LAYERS) if part in parts)


def imported(path: Path) -> set[str]:
    """Parts of tamis that a file imports when it is loaded, not inside functions."""
    found: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(path.read_text("utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
            if node.module == "tamis":
                names = [f"tamis.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            names = []
        parts = [name.split(".") for name in names]
        found |= {p[1] for p in parts if p[0] == "tamis" and len(p) > 1}
        waiting += ast.iter_child_nodes(node)
    return {part for part in found if (SOURCE / part).is_dir() or (SOURCE / f"{part}.py").exists()}


FILES = sorted(p for p in SOURCE.rglob("*.py") if p != SOURCE / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_point_one_way(path: Path) -> None:
    own = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    for other in imported(path):
        assert layer(other) <= layer(own), f"{own} imports {other}"


def test_every_part_has_a_layer() -> None:
    parts = {p.relative_to(SOURCE).parts[0].removesuffix(".py") for p in FILES}
    assert parts <= set().union(*LAYERS)


def without_torch(code: str, cwd: Path) -> str:
    result = subprocess.run(
        [sys.executable, "-c", TORCH_FREE + code], cwd=cwd, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_guard_itself_stops_torch(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="torch was imported"):
        without_torch("import torch", tmp_path)


def test_import_tamis_needs_no_torch(tmp_path: Path) -> None:
    code = "import tamis\nfor name in tamis.__all__: getattr(tamis, name)\nprint(tamis.__all__)"
    assert "encode" in without_torch(code, tmp_path)


@pytest.mark.parametrize("preprocessor", ["none", "blur:1.0", "default"])
def test_compressing_and_decompressing_need_no_torch(tmp_path: Path, preprocessor: str) -> None:
    code = f"""
from pathlib import Path
from PIL import Image
from tamis.cli import main
Image.effect_noise((64, 48), 60).save("noise.png")
for arguments in (
    ["compress", "noise.png", "--out", "small", "--preprocessor", "{preprocessor}"],
    ["decompress", "small", "--out", "png"],
    ["codecs"],
):
    try:
        main(arguments)
    except SystemExit as end:
        assert not end.code, (arguments, end.code)
print(Image.open("png/noise.png").size)
"""
    assert "(64, 48)" in without_torch(code, tmp_path)


def test_import_tamis_loads_nothing_heavy(tmp_path: Path, record_property: object) -> None:
    start = time.perf_counter()
    code = "import sys, tamis; print(sorted(m for m in sys.modules if m.startswith('tamis')))"
    output = without_torch(code, tmp_path)
    # Recorded, not judged: a busy machine would fail it for no reason.
    record_property("start_up_seconds", time.perf_counter() - start)  # type: ignore[operator]
    assert output.strip() == "['tamis', 'tamis.errors']"
