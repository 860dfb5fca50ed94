"""Makes the golden files beside it, with OpenCV and pycocotools.

    python -m venv venv && venv/bin/pip install 'numpy<2' 'opencv-python-headless==4.11.*' pycocotools==2.0.*
    venv/bin/python make_golden.py
"""
import contextlib
import io
import json
import os

import cv2
import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

HERE = os.path.dirname(os.path.abspath(__file__))


def smooth(rng, height, width):
    """A picture with structure, as photographs have: differences of a rounding stay small."""
    coarse = rng.integers(0, 256, (height // 6 + 2, width // 6 + 2, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def save(name, value):
    with open(os.path.join(HERE, name), "w") as file:
        json.dump(value, file, separators=(",", ":"))
        file.write("\n")


def picture(image):
    return {"width": image.shape[1], "height": image.shape[0], "data": image.reshape(-1).tolist()}


def pixels():
    rng = np.random.default_rng(0)
    image = smooth(rng, 23, 31)
    cases = {"source": picture(image), "resize": [], "warp": []}
    for size in [(47, 35), (17, 11), (62, 46), (31, 40), (15, 11)]:
        resized = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
        cases["resize"].append({"size": size, "image": picture(resized)})
    ways = {"nearest": cv2.INTER_NEAREST, "bicubic": cv2.INTER_CUBIC, "area": cv2.INTER_AREA,
            "lanczos": cv2.INTER_LANCZOS4}
    even = image[:12, :16]
    cases["even"] = picture(even)
    cases["ways"] = []
    for name, way in ways.items():
        for size in [(23, 17), (9, 5), (8, 6), (4, 4), (21, 5)]:
            resized = cv2.resize(even, size, interpolation=way)
            cases["ways"].append({"name": name, "size": size, "image": picture(resized)})
    maps = [
        [[0.9, -0.2, 4.3], [0.15, 1.1, -2.6]],
        [[1.6, 0.1, -9.0], [-0.3, 1.4, 3.25]],
        [[0.4, 0.05, 3.0], [0.02, 0.35, 5.5]],
    ]
    for matrix in maps:
        full = np.array(matrix + [[0, 0, 1]], dtype=np.float32)
        warped = cv2.warpPerspective(image, full, dsize=(29, 25), borderValue=(114, 113, 112))
        cases["warp"].append({"map": matrix, "image": picture(warped)})
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
    cases["hsv"] = picture(hsv)
    cases["back"] = picture(cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR))
    save("pixels.json", cases)


def coco():
    rng = np.random.default_rng(1)
    images = [{"id": 10 * i + 3, "file_name": f"{i}.jpg", "width": 320, "height": 240} for i in range(24)]
    categories = [{"id": 5, "name": "big"}, {"id": 2, "name": "small"}, {"id": 9, "name": "absent"}]
    annotations, detections = [], []
    for image in images:
        for _ in range(int(rng.integers(0, 9))):
            category = int(rng.choice([5, 2]))
            side = rng.uniform(40, 160) if category == 5 else rng.uniform(6, 40)
            x, y = rng.uniform(0, 320 - side), rng.uniform(0, 240 - side if side < 240 else 1)
            w, h = side, side * rng.uniform(0.6, 1.0)
            box = [round(float(v), 1) for v in (x, y, w, h)]
            annotations.append({
                "id": len(annotations) + 1, "image_id": image["id"], "category_id": category, "bbox": box,
                "area": round(box[2] * box[3], 2), "iscrowd": int(rng.uniform() < 0.08),
            })
            for _ in range(int(rng.integers(0, 4))):
                jitter = rng.normal(0, 0.07, 4) * side
                moved = np.array(box) + jitter
                moved[2:] = np.maximum(moved[2:], 2)
                label = [5, 2].index(category) if rng.uniform() < 0.9 else int(rng.integers(0, 3))
                # Scores on a coarse grid: ties must be broken as pycocotools does.
                score = round(float(np.clip(rng.normal(0.6, 0.2), 0.02, 1.0)), 2)
                x1, y1 = moved[:2]
                box_xyxy = np.array([x1, y1, x1 + moved[2], y1 + moved[3]], dtype=np.float32)
                detections.append({"image_id": image["id"], "label": label, "score": float(np.float32(score)),
                                   "bbox": box_xyxy.tolist()})
        for _ in range(int(rng.integers(0, 4))):
            x, y = rng.uniform(0, 250), rng.uniform(0, 180)
            box = np.array([x, y, x + rng.uniform(5, 60), y + rng.uniform(5, 60)], dtype=np.float32)
            detections.append({"image_id": image["id"], "label": int(rng.integers(0, 3)),
                               "score": float(np.float32(round(rng.uniform(0.0, 0.5), 2))), "bbox": box.tolist()})
    dataset = {"images": images, "annotations": annotations, "categories": categories}
    ids = [5, 2, 9]
    results = []
    for d in detections:
        x1, y1, x2, y2 = d["bbox"]
        results.append({"image_id": d["image_id"], "category_id": ids[d["label"]], "score": d["score"],
                        "bbox": [x1, y1, x2 - x1, y2 - y1]})
    expected = []
    for proposal_nums in ([100, 300, 1000], [1, 2, 100]):
        with contextlib.redirect_stdout(io.StringIO()):
            truth = COCO()
            truth.dataset = json.loads(json.dumps(dataset))
            truth.createIndex()
            evaluation = COCOeval(truth, truth.loadRes(json.loads(json.dumps(results))), "bbox")
            evaluation.params.maxDets = proposal_nums
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        precision = evaluation.eval["precision"]
        order = sorted(ids)
        per_class = []
        for category in ids:
            own = precision[:, :, order.index(category), 0, -1]
            own = own[own > -1]
            per_class.append(float(own.mean()) if own.size else -1.0)
        expected.append({"proposal_nums": proposal_nums, "stats": evaluation.stats.tolist(), "per_class": per_class})
    save("coco.json", {"dataset": dataset, "detections": detections, "expected": expected})


pixels()
coco()
