"""Makes transforms.png and transforms.json beside it: what MMDetection's transforms do to small pictures, with the
results of all random draws, so that the same draws can be played back.

    python -m venv venv
    venv/bin/pip install torch==2.11.0 'numpy<2' 'opencv-python-headless==4.11.*' mmengine==0.10.7 mmdet==3.3.0
    MMCV_WITH_OPS=1 venv/bin/pip install --no-build-isolation mmcv==2.1.0
    venv/bin/python make_transforms.py
"""
import json
import os
import random

import cv2
import numpy as np

import mmcv.transforms  # noqa: F401
import mmdet.datasets.transforms  # noqa: F401
import torch
from mmengine.registry import init_default_scope
from mmdet.registry import TRANSFORMS
from mmdet.structures.bbox import HorizontalBoxes

HERE = os.path.dirname(os.path.abspath(__file__))
DRAWS = []


def flat(value):
    return [float(v) for v in np.asarray(value, dtype=np.float64).reshape(-1)]


def record():
    """Puts a note of each result around numpy's random functions."""
    plain = {name: getattr(np.random, name)
             for name in ("uniform", "randint", "rand", "random", "random_sample", "permutation", "choice")}

    def noting(name):
        def draw(*args, **kwargs):
            value = plain[name](*args, **kwargs)
            DRAWS.extend(flat(value))
            return value
        return draw

    def choice(options, p=None):
        options = list(options)
        index = int(plain["choice"](len(options), p=p))
        DRAWS.append(float(index))
        return options[index]

    for name in plain:
        setattr(np.random, name, noting(name))
    np.random.choice = choice
    # MMCV draws some of its numbers with Python's own generator.
    python_random = random.random

    def unit():
        value = python_random()
        DRAWS.append(value)
        return value

    random.random = unit


def smooth(rng, height, width):
    coarse = rng.integers(0, 256, (height // 7 + 2, width // 7 + 2, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def source(seed, height, width):
    rng = np.random.default_rng(seed)
    boxes = []
    for _ in range(4):
        x1, y1 = rng.uniform(0, width * 0.7), rng.uniform(0, height * 0.7)
        boxes.append([x1, y1, x1 + rng.uniform(5, width * 0.5), y1 + rng.uniform(5, height * 0.5)])
    return {"img": smooth(rng, height, width), "boxes": np.array(boxes, dtype=np.float32),
            "labels": np.arange(4) + 10 * seed, "ignore": np.array([False, True, False, False])}


def results_of(part):
    height, width = part["img"].shape[:2]
    return {"img": part["img"].copy(), "img_shape": (height, width), "ori_shape": (height, width),
            "gt_bboxes": HorizontalBoxes(torch.tensor(part["boxes"]).clone()),
            "gt_bboxes_labels": part["labels"].astype(np.int64).copy(), "gt_ignore_flags": part["ignore"].copy()}


def resize(**kwargs):
    return dict(type="Resize", **kwargs)


# What is tried: the transform, and how many draws at its beginning are made elsewhere here.
CASES = [
    (resize(scale=(50, 30)), 0),
    (resize(scale=(60, 41), keep_ratio=True), 0),
    (resize(scale_factor=0.6), 0),
    (resize(scale=(17, 19), clip_object_border=False), 0),
    (dict(type="FixScaleResize", scale=(61, 43), keep_ratio=True), 0),
    (dict(type="RandomResize", scale=(50, 40), ratio_range=(0.5, 2.0), keep_ratio=True), 0),
    (dict(type="RandomResize", scale=[(30, 20), (70, 50)], keep_ratio=False), 0),
    (dict(type="RandomChoiceResize", scales=[(30, 24), (40, 36), (55, 47)], keep_ratio=True), 0),
    (dict(type="RandomFlip", prob=1.0), 0),
    (dict(type="RandomFlip", prob=[0.3, 0.3, 0.3], direction=["horizontal", "vertical", "diagonal"]), 0),
    (dict(type="RandomFlip", prob=1.0, direction="vertical"), 0),
    (dict(type="RandomFlip", prob=1.0, direction="diagonal"), 0),
    (dict(type="Pad", size=(60, 50), pad_val=dict(img=(9, 8, 7))), 0),
    (dict(type="Pad", size_divisor=32, pad_val=dict(img=114)), 0),
    (dict(type="Pad", pad_to_square=True, pad_val=dict(img=(114.0, 114.0, 114.0))), 0),
    (dict(type="Pad", size=(90, 70), padding_mode="edge"), 0),
    (dict(type="Pad", size=(60, 50), padding_mode="reflect"), 0),
    (dict(type="Pad", size=(60, 50), padding_mode="symmetric"), 0),
    (dict(type="RandomCrop", crop_size=(24, 20)), 0),
    (dict(type="RandomCrop", crop_size=(16, 30), crop_type="absolute_range", allow_negative_crop=True), 0),
    (dict(type="RandomCrop", crop_size=(0.5, 0.7), crop_type="relative", bbox_clip_border=False), 0),
    (dict(type="RandomCrop", crop_size=(0.4, 0.6), crop_type="relative_range"), 0),
    (dict(type="MinIoURandomCrop", min_ious=(0.01, 0.02, 0.05)), 0),
    (dict(type="Expand", mean=[123.675, 116.28, 103.53], to_rgb=True, ratio_range=(1, 3), prob=1.0), 0),
    (dict(type="Expand", mean=[1, 2, 3], to_rgb=False, ratio_range=(1, 2), prob=1.0), 0),
    (dict(type="RandomShift", prob=1.0, max_shift_px=12), 0),
    (dict(type="PhotoMetricDistortion"), 0),
    (dict(type="YOLOXHSVRandomAug"), 0),
    (dict(type="RandomGrayscale", prob=0.8, keep_channels=True, channel_weights=(0.114, 0.587, 0.299)), 0),
    (dict(type="CutOut", n_holes=(1, 4), cutout_shape=[(4, 6), (9, 5)], fill_in=(5, 6, 7)), 0),
    (dict(type="CutOut", n_holes=2, cutout_ratio=(0.3, 0.2)), 0),
    (dict(type="RandomErasing", n_patches=(1, 5), ratio=(0.1, 0.6)), 0),
    (dict(type="RandomErasing", n_patches=2, ratio=0.5, squared=False, bbox_erased_thr=0.4), 0),
    (dict(type="RandomAffine"), 0),
    (dict(type="RandomAffine", scaling_ratio_range=(0.1, 2), border=(-8, -6)), 0),
    (dict(type="FilterAnnotations", min_gt_bbox_wh=(9, 9), keep_empty=False), 0),
    (dict(type="Mosaic", img_scale=(40, 32), pad_val=114.0), 1),
    (dict(type="MixUp", img_scale=(40, 32), ratio_range=(0.8, 1.6), pad_val=114.0), 0),
]
SEEDS = {"PhotoMetricDistortion": 8, "MinIoURandomCrop": 4, "RandomAffine": 3, "Mosaic": 3, "MixUp": 4,
         "RandomFlip": 3, "RandomErasing": 2, "CutOut": 2, "RandomCrop": 2, "RandomGrayscale": 2}


def meta(results):
    keys = ("scale_factor", "flip", "flip_direction")
    return {key: results[key] for key in keys if key in results}


def case(config, skipped, seed, sources):
    transform = TRANSFORMS.build(dict(config))
    results = results_of(sources[0])
    partners = {"Mosaic": [1, 2, 3], "MixUp": [1 + seed % 3]}.get(config["type"], [])
    if partners:
        results["mix_results"] = [results_of(sources[i]) for i in partners]
    np.random.seed(seed)
    random.seed(seed)
    DRAWS.clear()
    results = transform(results)
    draws = DRAWS[skipped:]
    shown = {"config": config, "partners": partners, "draws": draws}
    if results is None:
        return shown | {"is_dropped": True}, None
    image = np.clip(results["img"], 0, 255)
    image = np.rint(image).astype(np.uint8) if image.dtype != np.uint8 else image
    boxes = results["gt_bboxes"].tensor.numpy()
    shown |= {"boxes": boxes.astype(float).round(4).tolist(), "labels": results["gt_bboxes_labels"].tolist(),
              "ignore": results["gt_ignore_flags"].tolist(), "meta": meta(results)}
    return shown, image


def strip(pictures):
    """All pictures in rows on one ground, and where each is: x, y, width, height."""
    width, x, y, tallest, places = 720, 0, 0, 0, []
    for picture in pictures:
        h, w = picture.shape[:2]
        if x + w > width:
            x, y, tallest = 0, y + tallest, 0
        places.append([x, y, w, h])
        x, tallest = x + w, max(tallest, h)
    ground = np.zeros((y + tallest, width, 3), np.uint8)
    for (x, y, w, h), picture in zip(places, pictures):
        ground[y:y + h, x:x + w] = picture
    return ground, places


def main():
    init_default_scope("mmdet")
    record()
    sources = [source(0, 32, 40), source(1, 45, 30), source(2, 24, 36), source(3, 32, 40)]
    cases, pictures = [], [part["img"] for part in sources]
    for config, skipped in CASES:
        for seed in range(SEEDS.get(config["type"], 1)):
            shown, image = case(config, skipped, seed, sources)
            if image is not None:
                shown["picture"] = len(pictures)
                pictures.append(image)
            cases.append(shown)
    ground, places = strip(pictures)
    cv2.imwrite(os.path.join(HERE, "transforms.png"), ground, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    parts = [{"boxes": p["boxes"].astype(float).tolist(), "labels": p["labels"].tolist(),
              "ignore": p["ignore"].tolist()} for p in sources]
    with open(os.path.join(HERE, "transforms.json"), "w") as file:
        text = ",\n".join(json.dumps(c) for c in cases)
        file.write('{"places": %s,\n"sources": %s,\n"cases": [\n%s\n]}\n' % (json.dumps(places), json.dumps(parts), text))


main()
