"""Ten steps of SGD of two of MMDetection's own configs, in MMDetection and in Snaphook: same start weights, same pictures.

The configs are taken as they are, but for what would be random or takes long: a drawn data set, small pictures without
augmentation, a small rate, every anchor, proposal and region in the losses (a cut
among almost equal scores keeps another one in each), one epoch of ten batches. MMDetection makes the weights and saves them as a
.pth file, Snaphook loads it. The loss of each step must agree to a thousandth.

Needs: torch==2.11.0 mmengine==0.10.7 mmdet==3.3.0, and mmcv==2.1.0 built with MMCV_WITH_OPS=1.
Run: python ten_steps_beside_mmdet.py PATH/TO/snaphook [yolox] [faster_rcnn]
"""
import json
import logging
import os
import pathlib
import subprocess
import sys
import tempfile

os.environ.setdefault('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmdet.utils import register_all_modules
import mmdet

STEPS, BATCH, CLASSES = 10, 2, ('circle', 'square', 'triangle')
TOLERANCE = 1e-3
WARM_UP_RATE = 0.01
FAMILIES = pathlib.Path(mmdet.__file__).parent / '.mim/configs'

CASES = dict(
    yolox=dict(
        config='yolox/yolox_tiny_8xb8-300e_coco.py', scale=(192, 192), lr=0.0003, warm_up=6,
        pad=dict(type='Pad', pad_to_square=True, pad_val=dict(img=(114.0, 114.0, 114.0))),
        model="dict(bbox_head=dict(num_classes=3))"),
    faster_rcnn=dict(
        config='faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py', scale=(192, 128), lr=0.001, warm_up=1, pad=None,
        model="dict(backbone=dict(init_cfg=None), roi_head=dict(bbox_head=dict(num_classes=3)), "
              "train_cfg=dict(rpn=dict(sampler=dict(num=1000000)), rcnn=dict(sampler=dict(num=1000000)), "
              "rpn_proposal=dict(nms_pre=1000000, max_per_img=1000000)))"))


def draw(folder, scale):
    """Bright shapes on noise, and COCO's annotations of them."""
    rng = np.random.RandomState(3)
    images, annotations = [], []
    for number in range(STEPS * BATCH):
        # Of the size that they are resized to: a resize here is OpenCV's within one grey level, which norms over two
        # pictures make more of.
        width, height = scale
        image = rng.randint(0, 90, (height, width, 3), dtype=np.uint8)
        for shape in range(1 + number % 3):
            label, side = int(rng.randint(3)), int(rng.randint(30, 70))
            x, y = int(rng.randint(0, width - side)), int(rng.randint(0, height - side))
            colour = [int(level) for level in rng.randint(120, 255, 3)]
            if label == 0:
                cv2.circle(image, (x + side // 2, y + side // 2), side // 2, colour, -1)
            elif label == 1:
                cv2.rectangle(image, (x, y), (x + side, y + side), colour, -1)
            else:
                corners = np.array([[x, y + side], [x + side, y + side], [x + side // 2, y]])
                cv2.fillPoly(image, [corners], colour)
            annotations.append(dict(
                id=len(annotations) + 1, image_id=number + 1, category_id=label + 1, bbox=[x, y, side, side],
                area=side * side, iscrowd=0))
        cv2.imwrite(str(folder / f'{number:03}.png'), image)
        images.append(dict(id=number + 1, file_name=f'{number:03}.png', width=width, height=height))
    categories = [dict(id=i + 1, name=name) for i, name in enumerate(CLASSES)]
    text = json.dumps(dict(images=images, annotations=annotations, categories=categories))
    (folder / 'train.json').write_text(text)


def settings(case, data):
    """The lines after the base, the same for both."""
    pad = f'    {case["pad"]!r},\n' if case['pad'] else ''
    return f'''
model = {case['model']}
train_dataloader = dict(_delete_=True, batch_size={BATCH}, num_workers=0, persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False), dataset=dict(type='CocoDataset', data_root={str(data) + '/'!r},
        ann_file='train.json', data_prefix=dict(img=''), metainfo=dict(classes={CLASSES!r}), pipeline=[
    dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale={case['scale']!r}, keep_ratio=True),
{pad}    dict(type='PackDetInputs')]))
val_dataloader = test_dataloader = val_evaluator = test_evaluator = val_cfg = test_cfg = None
train_cfg = dict(_delete_=True, type='EpochBasedTrainLoop', max_epochs=1)
optim_wrapper = dict(optimizer=dict(lr={case['lr']}))
param_scheduler = None
custom_hooks = []
default_hooks = dict(logger=dict(interval=1), checkpoint=None)
log_processor = dict(type='LogProcessor', window_size=1, by_epoch=True)
randomness = dict(seed=0)
'''


class Losses(Hook):
    """Keeps the loss of each step."""

    def __init__(self):
        self.found = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.found.append(float(outputs['loss']))


def mmdetection(config, weights, folder, warm_up):
    # Fresh weights predict much the same everywhere: which place is to find a box is then a matter of the last digit, and so is
    # the loss of the next step. A few steps of training end that.
    cfg = Config.fromfile(config)
    cfg.work_dir, cfg.log_level, cfg.optim_wrapper.optimizer.lr = str(folder), 'ERROR', WARM_UP_RATE
    cfg.train_cfg.max_epochs = warm_up
    runner = Runner.from_cfg(cfg)
    runner.train()
    torch.save(dict(state_dict=runner.model.state_dict(), meta=dict()), weights)
    cfg = Config.fromfile(config)
    cfg.work_dir, cfg.log_level, cfg.load_from, cfg.experiment_name = str(folder), 'ERROR', str(weights), 'second'
    runner = Runner.from_cfg(cfg)
    losses = Losses()
    runner.register_hook(losses)
    runner.train()
    return losses.found


def snaphook(program, config, weights, folder):
    line = [program, 'train', str(config), '--work-dir', str(folder), '--config-path', str(FAMILIES.parent),
            '--cfg-options', f'load_from={weights}']
    result = subprocess.run(line, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f'{" ".join(line)}\n{result.stdout[-2000:]}{result.stderr[-2000:]}')
    scalars = next(folder.rglob('vis_data/scalars.json')).read_text().splitlines()
    return [entry['loss'] for entry in map(json.loads, scalars) if 'loss' in entry]


def compare(program, name, case):
    folder = pathlib.Path(tempfile.mkdtemp(prefix='ten-steps-'))
    data = folder / 'data'
    data.mkdir()
    draw(data, case['scale'])
    lines, weights = settings(case, data), folder / 'start.pth'
    base = FAMILIES / case['config']
    (folder / 'own.py').write_text(f'_base_ = {str(base)!r}\n{lines}')
    theirs = mmdetection(folder / 'own.py', weights, folder / 'mmdetection', case['warm_up'])
    ours = snaphook(program, folder / 'own.py', weights, folder / 'snaphook')
    assert len(theirs) == len(ours) == STEPS, (theirs, ours)
    worst = 0.0
    for step, (their, our) in enumerate(zip(theirs, ours)):
        differs = abs(our - their) / their
        worst = max(worst, differs)
        print(f'{name} step {step}: MMDetection {their:.6f}, Snaphook {our:.6f}, apart by {differs:.1e}')
    print(f'{name}: {"agree" if worst <= TOLERANCE else "DIFFER"}, by at most {worst:.1e} of {TOLERANCE:.0e}')
    return worst <= TOLERANCE


if __name__ == '__main__':
    logging.disable(logging.WARNING)
    register_all_modules()
    program, *names = sys.argv[1:]
    results = [compare(program, name, CASES[name]) for name in names or CASES]
    sys.exit(0 if all(results) else 1)
