"""How long MMEngine's training stands still when it saves: see checkpoint.rs."""
import logging
import statistics
import sys
import tempfile
import time

import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner

WEIGHTS, ITERATIONS, INTERVAL = map(int, sys.argv[1:])
torch.set_num_threads(1)
asked = []


class Line(BaseModel):

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(WEIGHTS))

    def forward(self, inputs=None, mode='loss'):
        return dict(loss_line=(self.weight * 2.0).mean())


class Nothing(torch.utils.data.Dataset):

    def __len__(self):
        return ITERATIONS

    def __getitem__(self, index):
        return dict(inputs=0)


class Moments:
    """Stands where the data loader would, and notes when a batch is asked for."""
    dataset = Nothing()
    batch_size = 1

    def __len__(self):
        return ITERATIONS

    def __iter__(self):
        for _ in range(ITERATIONS):
            asked.append(time.perf_counter())
            yield dict(inputs=None)
        asked.append(time.perf_counter())


logging.disable(logging.WARNING)
with tempfile.TemporaryDirectory() as folder:
    runner = Runner(
        model=Line(),
        work_dir=folder,
        train_dataloader=torch.utils.data.DataLoader(Nothing(), batch_size=1),
        train_cfg=dict(by_epoch=True, max_epochs=1),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9)),
        default_hooks=dict(
            logger=dict(type='LoggerHook', interval=50),
            checkpoint=dict(type='CheckpointHook', interval=INTERVAL, by_epoch=False, max_keep_ckpts=1)),
        default_scope='mmengine',
        log_level='ERROR')
    runner.train_loop.dataloader = Moments()
    runner.train()
millis = [(after - before) * 1e3 for before, after in zip(asked, asked[1:])]
saving = statistics.median(time for iter, time in enumerate(millis) if (iter + 1) % INTERVAL == 0)
others = statistics.median(time for iter, time in enumerate(millis) if (iter + 1) % INTERVAL)
print(f'MMEngine: an iteration that saves {saving:.0f} ms, another {others:.0f} ms: '
      f'a save stops the loop for {saving - others:.0f} ms')
