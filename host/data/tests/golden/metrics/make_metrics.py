"""Makes metrics.json beside it: random annotations and detections with the scores of pycocotools and MMDetection.

    python make_metrics.py                                   (in an environment as ../transforms/make_transforms.py says)
    python make_metrics.py instances_val.json out.json       annotations of a file with random detections; the test
                                                             scores such a file too if METRICS_GOLDEN names it
"""
import contextlib
import io
import json
import os
import sys

import numpy as np
from mmdet.evaluation.functional import eval_map
from mmdet.evaluation.functional.bbox_overlaps import bbox_overlaps
from mmdet.evaluation.functional.recall import _recalls
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

HERE = os.path.dirname(os.path.abspath(__file__))
LIMITS = [100, 300, 1000]
IOUS = np.linspace(0.5, 0.95, 10)


def annotations(rng, images, categories, crowds, empty):
    found = []
    for image in images:
        count = 0 if rng.uniform() < empty else int(rng.integers(1, 8))
        for _ in range(count):
            w, h = np.exp(rng.uniform(np.log(5), np.log(150), 2))
            x, y = rng.uniform(-5, 300 - w / 2), rng.uniform(-5, 220 - h / 2)
            box = [round(float(v), 1) for v in (x, y, w, h)]
            found.append({"id": len(found) + 1, "image_id": image["id"], "bbox": box, "area": round(box[2] * box[3], 2),
                          "category_id": int(rng.choice(categories)), "iscrowd": int(rng.uniform() < crowds)})
    return found


def dataset(rng, crowds, empty):
    categories = [{"id": 7, "name": "a"}, {"id": 3, "name": "b"}, {"id": 12, "name": "never"}]
    images = [{"id": 5 * i + 2, "file_name": f"{i}.jpg", "width": 320, "height": 240} for i in range(12)]
    return {"images": images, "categories": categories, "annotations": annotations(rng, images, [7, 3], crowds, empty)}


def detections(rng, data, names, share, step):
    """Boxes near objects and anywhere; scores are multiples of `step`, so that there are ties, or 0: no two are equal."""
    ids = [next(c["id"] for c in data["categories"] if c["name"] == name) for name in names]
    found = []

    def add(image_id, label, box):
        x, y, w, h = box
        corners = np.array([x, y, x + max(w, 1), y + max(h, 1)], dtype=np.float32)
        score = rng.uniform(0.01, 1.0)
        score = round(score / step) * step if step else score
        found.append({"image_id": image_id, "label": label, "score": float(np.float32(score)),
                      "bbox": corners.tolist()})

    for a in data["annotations"]:
        for _ in range(int(rng.poisson(share))):
            box = np.array(a["bbox"]) + rng.normal(0, 0.08, 4) * max(a["bbox"][2:])
            label = ids.index(a["category_id"]) if rng.uniform() < 0.85 else int(rng.integers(len(ids)))
            add(a["image_id"], label, box)
    for image in data["images"]:
        for _ in range(int(rng.poisson(share))):
            box = [rng.uniform(0, 250), rng.uniform(0, 180), *rng.uniform(4, 90, 2)]
            add(image["id"], int(rng.integers(len(ids))), box)
    # As detectors give them: best first.
    return ids, sorted(found, key=lambda d: (d["image_id"], -d["score"]))


def coco_stats(data, results, use_categories, ids):
    if not results:
        return None
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = json.loads(json.dumps(data))
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(json.loads(json.dumps(results))), "bbox")
        evaluation.params.maxDets, evaluation.params.catIds = LIMITS, ids
        evaluation.params.useCats = int(use_categories)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats.tolist()


def fast_recalls(data, found):
    overlaps = []
    for image in data["images"]:
        boxes = np.array([d["bbox"] for d in found if d["image_id"] == image["id"]], dtype=np.float32).reshape(-1, 4)
        objects = [a["bbox"] for a in data["annotations"] if a["image_id"] == image["id"] and not a["iscrowd"]]
        objects = np.array([[x, y, x + w, y + h] for x, y, w, h in objects], dtype=np.float32).reshape(-1, 4)
        empty = np.zeros((0, len(boxes)), dtype=np.float32)
        overlaps.append(bbox_overlaps(objects, boxes[:LIMITS[-1]]) if len(objects) else empty)
    each = np.empty(len(overlaps), dtype=object)
    each[:] = overlaps
    return _recalls(each, np.array(LIMITS), IOUS).mean(axis=1).tolist()


def voc(data, ids, found, mode, iou):
    """Crowds are what is difficult there. Boxes of single precision and not thinner than a pixel, as they come from a
    data set."""
    annotated, detected = [], []
    for image in data["images"]:
        own = [a for a in data["annotations"] if a["image_id"] == image["id"] and a["category_id"] in ids
               and min(a["bbox"][2:]) >= 1]
        corners = np.array([[x, y, x + w, y + h] for x, y, w, h in (a["bbox"] for a in own)], np.float32).reshape(-1, 4)
        labels = np.array([ids.index(a["category_id"]) for a in own], dtype=np.int64)
        crowd = np.array([a["iscrowd"] for a in own], dtype=bool)
        annotated.append({"bboxes": corners[~crowd], "labels": labels[~crowd], "bboxes_ignore": corners[crowd],
                          "labels_ignore": labels[crowd]})
        rows = [[d["bbox"] + [d["score"]] for d in found if d["image_id"] == image["id"] and d["label"] == label]
                for label in range(len(ids))]
        detected.append([np.array(r, dtype=np.float32).reshape(-1, 5) for r in rows])
    mean, classes = eval_map(detected, annotated, iou_thr=iou, eval_mode=mode, use_legacy_coordinate=True, nproc=1,
                             logger="silent")
    return {"mode": mode, "iou": iou, "mean": float(mean),
            "aps": [float(c["ap"]) if c["num_gts"] else None for c in classes]}


def case(rng, data, names, share, step):
    ids, found = detections(rng, data, names, share, step)
    results = [{"image_id": d["image_id"], "category_id": ids[d["label"]], "score": d["score"],
                "bbox": [d["bbox"][0], d["bbox"][1], d["bbox"][2] - d["bbox"][0], d["bbox"][3] - d["bbox"][1]]}
               for d in found]
    expected = {"bbox": coco_stats(data, results, True, ids), "proposal": coco_stats(data, results, False, ids),
                "fast": fast_recalls(data, found), "voc": []}
    if step == 0:
        expected["voc"] = [voc(data, ids, found, mode, iou) for mode in ("area", "11points") for iou in (0.5, 0.7)]
    return {"classes": names, "dataset": data, "detections": found, "expected": expected}


def main():
    rng = np.random.default_rng(7)
    if len(sys.argv) == 3:
        data = json.load(open(sys.argv[1]))
        data = {key: data[key] for key in ("images", "annotations", "categories")}
        names = [c["name"] for c in data["categories"]]
        cases, out = [case(rng, data, names, 1.5, step) for step in (0, 0.05)], sys.argv[2]
    else:
        # Crowds, pictures without objects, detections for each object, scores.
        kinds = [(0.2, 0.3, 2, 0.05), (0.0, 0.0, 1, 0), (0.3, 0.5, 3, 0), (0.1, 0.2, 0, 0), (0.0, 0.9, 1, 0.25)]
        names = ["a", "b", "never"]
        cases = [case(rng, dataset(rng, crowds, empty), names, share, step) for crowds, empty, share, step in kinds]
        out = os.path.join(HERE, "metrics.json")
    with open(out, "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "\n]\n")


main()
