"""The figures of docs/how-to/explain.md: `python benchmarks/explain_figures.py FASTESTDET.onnx`.

Another preprocessor, codec or quality: give them as further arguments.
"""

import sys
import tempfile
from pathlib import Path

from PIL import Image

from tamis.analysis.explain_report import explain_photos
from tamis.data import sample_photos

IMAGES = Path(__file__).parents[1] / "docs" / "images"


def main(
    detector: str, preprocessor: str = "default", codec: str = "bpg", quality: str = "40"
) -> None:
    tasks = ["classify:efficientnet_lite0", f"detect:{detector}:decoder=fastestdet"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photo = folder / "cat.png"
        Image.fromarray(sample_photos()["cat"]).save(photo)
        explain_photos([photo], folder / "explain", tasks, codec, int(quality), preprocessor)
        for kind, suffix in (("focus", "jpg"), ("bits", "png"), ("removed", "jpg")):
            panel = Image.open(folder / "explain" / f"cat-{kind}.png").convert("RGB")
            panel.save(IMAGES / f"explain-{kind}.{suffix}", quality=88, optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
