"""The learning rates that MMDetection 2.28's own YOLOXLrUpdaterHook sets, for SGD with lr=0.01, 12 epochs of 10 iterations.

A line for each iteration, a column for each of SETTINGS. The hook's file is loaded alone, since MMDetection 2 does not install
beside MMDetection 3; it needs `mmcv` 1.x without operators, whose folder stands first:

    pip download --no-deps mmcv==1.7.2 mmdet==2.28.2   # and unpack both
    PYTHONPATH=mmcv-1.7.2 python reference.py mmdet/core/hook/yolox_lrupdater_hook.py > reference.txt
"""
import importlib.util
import sys
from types import ModuleType, SimpleNamespace

EPOCHS, LENGTH = 12, 10
SETTINGS = [
    # As in YOLOX's configs.
    dict(warmup='exp', by_epoch=False, warmup_by_epoch=True, warmup_ratio=1, warmup_iters=2, num_last_epochs=3,
         min_lr_ratio=0.05),
    dict(warmup='linear', by_epoch=False, warmup_ratio=0.5, warmup_iters=7, num_last_epochs=1, min_lr=0.0002),
    # Without a warm-up its length moves the cosine all the same.
    dict(by_epoch=False, warmup_iters=7, num_last_epochs=0, min_lr=0.0),
    # Only without last epochs: they are counted in iterations there, so that all epochs are last ones.
    dict(by_epoch=True, num_last_epochs=0, min_lr_ratio=0.05),
]

# MMCV imports it for what is not asked here.
sys.modules.setdefault('torchvision', ModuleType('torchvision'))
spec = importlib.util.spec_from_file_location('hook', sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)


def rates(kwargs):
    hook, group, found = module.YOLOXLrUpdaterHook(**kwargs), dict(lr=0.01), []
    runner = SimpleNamespace(optimizer=SimpleNamespace(param_groups=[group]), data_loader=range(LENGTH),
                             max_epochs=EPOCHS, max_iters=EPOCHS * LENGTH, epoch=0, iter=0)
    hook.before_run(runner)
    for runner.epoch in range(EPOCHS):
        hook.before_train_epoch(runner)
        for _ in range(LENGTH):
            hook.before_train_iter(runner)
            found.append(group['lr'])
            runner.iter += 1
    return found


if __name__ == '__main__':
    for line in zip(*map(rates, SETTINGS)):
        print(*map(repr, line))
