"""The learning rates of lr_config = dict(policy='YOLOX', warmup='exp', by_epoch=False, warmup_by_epoch=True,
warmup_ratio=1, warmup_iters=2, num_last_epochs=3, min_lr_ratio=0.05) for SGD with lr=0.01, 12 epochs of 10 iterations.

Written after the formulas of MMDetection 2.28 (`YOLOXLrUpdaterHook.get_warmup_lr` and `get_lr`) and MMCV 1.7
(`annealing_cos`, and which of the two holds in `LrUpdaterHook.before_train_iter`), which do not install beside
MMDetection 3. python reference.py > reference.txt
"""
from math import cos, pi

BASE, EPOCHS, LENGTH, WARMUP_EPOCHS, LAST, MIN_RATIO, RATIO = 0.01, 12, 10, 2, 3, 0.05, 1
warmup_iters = WARMUP_EPOCHS * LENGTH


def warmup(iteration):
    k = RATIO * pow((iteration + 1) / float(warmup_iters), 2)
    return BASE * k


def regular(iteration):
    last = LENGTH * LAST
    progress, max_progress = iteration + 1, EPOCHS * LENGTH
    target = BASE * MIN_RATIO
    if progress >= max_progress - last:
        return target
    factor = (progress - warmup_iters) / (max_progress - warmup_iters - last)
    return target + 0.5 * 1.0 * (BASE - target) * (cos(pi * factor) + 1)


for iteration in range(EPOCHS * LENGTH):
    print(repr(regular(iteration) if iteration >= warmup_iters else warmup(iteration)))
