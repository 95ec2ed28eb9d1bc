"""faster-coco-eval's own verdict on the same detections and annotations, to compare ours with."""

from collections.abc import Sequence

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster

from tamis.data.annotations import Annotations
from tamis.tasks.coco_masks import found_masks, run_lengths
from tamis.tasks.detections import Detections

Case = tuple[Detections, Annotations]


def judge(cases: Sequence[Case], kind: str) -> dict[str, float]:
    """AP_all, AP_50, AP_75, AP_small ... of `cases`; NaN where undefined.

    Args:
        cases: detections and annotations, of one picture each.
        kind: bbox, segm or keypoints.
    """
    images, objects, results = [], [], []
    for number, (found, marked) in enumerate(cases, 1):
        size = marked.width, marked.height
        images.append({"id": number, "width": size[0], "height": size[1]})
        for g in range(len(marked)):
            entry = _entry(number, marked.boxes[g], int(marked.classes[g]), size)
            entry |= {"id": len(objects) + 1, "area": float(marked.areas[g])}
            entry["iscrowd"] = int(marked.crowd[g])
            if kind == "segm":
                entry["segmentation"] = run_lengths(marked.masks[g], *size)
            if marked.keypoints is not None:
                entry["keypoints"] = _flat(marked.keypoints[g], size)
                entry["num_keypoints"] = int((marked.keypoints[g, :, 2] > 0).sum())
            objects.append(entry)
        masks = found_masks(found, *size)
        for d in range(len(found)):
            entry = _entry(number, found.boxes[d], int(found.classes[d]), size)
            entry["score"] = float(found.scores[d])
            if kind == "segm":
                entry = {k: v for k, v in entry.items() if k != "bbox"} | {"segmentation": masks[d]}
            if found.keypoints is not None:
                entry = {k: v for k, v in entry.items() if k != "bbox"}
                entry["keypoints"] = _flat(found.keypoints[d], size)
            results.append(entry)
    names = [{"id": c + 1, "name": str(c)} for c in range(80)]
    truth = COCO({"images": images, "annotations": objects, "categories": names})
    verdict = COCOeval_faster(truth, truth.loadRes(results), kind)
    verdict.evaluate()
    verdict.accumulate()
    verdict.summarize()
    stats = verdict.stats_as_dict.items()
    return {name: np.nan if ap < 0 else ap for name, ap in stats if name.startswith("AP")}


def _entry(image: int, box: np.ndarray, kind: int, size: tuple[int, int]) -> dict[str, object]:
    left, top, right, bottom = box.astype(np.float64) * [*size, *size]
    return {
        "image_id": image,
        "category_id": kind + 1,
        "bbox": [left, top, right - left, bottom - top],
    }


def _flat(points: np.ndarray, size: tuple[int, int]) -> list[float]:
    flat: list[float] = (points.astype(np.float64) * [*size, 1]).ravel().tolist()
    return flat
