"""Every kind of dataset goes through the bench, with its labels, in both protocols."""

import io
import json
import tarfile

import numpy as np
import pytest
from colours import Boxes, colour_task
from PIL import Image

from tamis.bench import Plan, run_sweep
from tamis.errors import TamisError

BOX = [20, 20, 100, 80]


def plan(photos, task, protocol="native"):
    return Plan.of(photos, [task], ["jpeg"], ["none"], protocol, qualities={"jpeg": [20]})


@pytest.fixture
def coco(folder, tmp_path):
    """The spec of the photos with one box marked in each."""
    images, boxes = [], []
    for i, path in enumerate(sorted(folder.iterdir())):
        width, height = Image.open(path).size
        images.append({"id": i, "file_name": path.name, "width": width, "height": height})
        boxes.append({"id": i, "image_id": i, "category_id": 1, "bbox": BOX})
    file = tmp_path / "labels.json"
    content = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "person"}]}
    file.write_text(json.dumps(content))
    return f"coco:{folder}:labels={file}"


def test_coco_labels_reach_the_task(coco, paths, tmp_path):
    rows = run_sweep(plan(coco, Boxes()), tmp_path)
    assert rows.height == len(paths)
    assert rows["marked"].null_count() == 0
    assert rows["marked"].to_list() != rows["change"].to_list()
    assert rows["label"].str.len_chars().to_list() == [16] * len(paths)
    assert run_sweep(plan(paths, Boxes()), tmp_path / "b")["marked"].null_count() == len(paths)


def test_protocol_model_uses_marks_if_the_whole_view_is_kept(coco, paths, tmp_path):
    whole = run_sweep(plan(coco, Boxes(), "model"), tmp_path / "whole")
    cut = run_sweep(plan(coco, Boxes(crop=True), "model"), tmp_path / "cut")
    assert whole["marked"].null_count() == 0
    assert cut["marked"].null_count() == len(paths)
    assert cut["change"].null_count() == 0


def test_annotations_of_another_shape_are_refused(coco, paths, tmp_path):
    file = tmp_path / "labels.json"
    content = json.loads(file.read_text())
    for image in content["images"]:
        image["width"], image["height"] = image["height"], image["width"]
    file.write_text(json.dumps(content))
    with pytest.raises(TamisError, match=r"200x180, but its annotations are of .* 180x200"):
        run_sweep(plan(coco, Boxes()), tmp_path / "run")


def test_shards_give_the_rows_that_files_give_in_several_processes(paths, tmp_path):
    with tarfile.open(tmp_path / "s-0.tar", "w") as tar:
        for i, path in enumerate(paths):
            for name, data in ((path.name, path.read_bytes()), (f"{path.stem}.cls", b"%d" % i)):
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    shards = f"webdataset:{tmp_path}/s-{{0..0}}.tar"
    rows = run_sweep(plan(shards, colour_task()), tmp_path / "a", processes=2)
    files = run_sweep(plan(paths, colour_task()), tmp_path / "b")
    assert rows["image"].to_list() == files["image"].to_list()
    np.testing.assert_array_equal(rows["kl"], files["kl"])
    assert sorted(rows["label"]) == [str(i) for i in range(len(paths))]
    assert rows["top1"].null_count() == 0
    assert files["top1"].null_count() == len(paths)
