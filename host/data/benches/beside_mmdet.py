"""Pictures per second of processor time through the same two training pipelines, on one core: MMDetection's and
Snaphook's, in turn, in one run.

    cargo bench -p snaphook-data --no-run
    python beside_mmdet.py DATA_ROOT target/release/deps/mosaic_pipeline-HASH

DATA_ROOT has `annotations/instances_train.json` and `JPEGImages/` (BCCD in COCO form). The environment is that of
`../tests/golden/transforms/make_transforms.py`.
"""
import os

os.environ["OMP_NUM_THREADS"] = "1"

import re
import subprocess
import sys
import time

import cv2
import numpy as np
import torch
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmdet.registry import DATASETS

SIDE, PICTURES, ROUNDS = 640, 100, 3
LOAD = [dict(type="LoadImageFromFile"), dict(type="LoadAnnotations", with_bbox=True)]
MIXED = [
    dict(type="Mosaic", img_scale=(SIDE, SIDE), pad_val=114.0),
    dict(type="RandomAffine", scaling_ratio_range=(0.1, 2), border=(-SIDE // 2, -SIDE // 2)),
    dict(type="YOLOXHSVRandomAug"),
    dict(type="RandomFlip", prob=0.5),
    dict(type="Resize", scale=(SIDE, SIDE), keep_ratio=True),
    dict(type="Pad", pad_to_square=True, pad_val=dict(img=(114.0, 114.0, 114.0))),
    dict(type="FilterAnnotations", min_gt_bbox_wh=(1, 1), keep_empty=False),
    dict(type="PackDetInputs"),
]
TWO_STAGE = LOAD + [
    dict(type="Resize", scale=(1333, 800), keep_ratio=True),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PackDetInputs"),
]


def leaf(root, pipeline):
    return dict(type="CocoDataset", data_root=root, ann_file="annotations/instances_train.json",
                data_prefix=dict(img="JPEGImages/"), metainfo=dict(classes=("Platelets", "RBC", "WBC")),
                filter_cfg=dict(filter_empty_gt=True), pipeline=pipeline)


def rate(dataset):
    order = np.random.permutation(len(dataset))
    start = time.process_time()
    for index in order[:PICTURES]:
        dataset[int(index)]
    return PICTURES / (time.process_time() - start)


def ours(binary, root):
    """The bench says `name, epoch 1: 170 img/s, 180 img/s of processor time`."""
    text = subprocess.run([binary, root, "--bench"], capture_output=True, text=True, check=True).stdout
    best = {}
    for name, value in re.findall(r"^(.*), epoch \d+: .*?(\d+) img/s of processor time", text, re.M):
        best[name] = max(best.get(name, 0), float(value))
    return best


def main():
    root, binary = sys.argv[1:]
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    MMLogger.get_instance("quiet", log_level="ERROR")
    init_default_scope("mmdet")
    sets = {
        "mosaic pipeline, no cache": DATASETS.build(
            dict(type="MultiImageMixDataset", dataset=leaf(root, LOAD), pipeline=MIXED)),
        "Faster R-CNN pipeline, no cache": DATASETS.build(leaf(root, TWO_STAGE)),
    }
    theirs, best = {name: 0.0 for name in sets}, {}
    for _ in range(ROUNDS):
        for name, dataset in sets.items():
            theirs[name] = max(theirs[name], rate(dataset))
        for name, value in ours(binary, root).items():
            best[name] = max(best.get(name, 0), value)
    for name in sets:
        ratio = best[name] / theirs[name]
        print(f"{name}: Snaphook {best[name]:.0f} img/s, MMDetection {theirs[name]:.0f} img/s, ratio {ratio:.1f}")
    for name in best.keys() - sets.keys():
        print(f"{name}: Snaphook {best[name]:.0f} img/s")


main()
