"""MMEngine's own cost in an iteration, against a bare torch loop of the same model: see iteration.rs."""
import logging
import sys
import tempfile
import time

import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner

ITERATIONS = int(sys.argv[1])
torch.set_num_threads(1)


class Line(BaseModel):

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, inputs=None, mode='loss'):
        return dict(loss_line=(self.weight * 2.0).mean())


class Nothing(torch.utils.data.Dataset):

    def __len__(self):
        return ITERATIONS

    def __getitem__(self, index):
        return dict(inputs=0)


class Timer:
    """Stands where the data loader would: nothing is loaded, so that only the machine's cost is measured."""
    dataset = Nothing()
    batch_size = 1

    def __len__(self):
        return ITERATIONS

    def __iter__(self):
        for _ in range(ITERATIONS):
            yield dict(inputs=None)


def machine():
    runner = Runner(
        model=Line(),
        work_dir=tempfile.mkdtemp(),
        train_dataloader=torch.utils.data.DataLoader(Nothing(), batch_size=1),
        train_cfg=dict(by_epoch=True, max_epochs=1),
        optim_wrapper=dict(optimizer=torch.optim.SGD(torch.nn.Linear(1, 1).parameters(), lr=0.1)),
        default_hooks=dict(logger=dict(type='LoggerHook', interval=50), checkpoint=dict(type='CheckpointHook', interval=10**9, by_epoch=False, save_last=False)),
        default_scope='mmengine',
        log_level='ERROR',
        log_processor=dict(type='LogProcessor', window_size=50),
        experiment_name=str(time.time()).replace('.', '_'))
    runner.optim_wrapper = runner.build_optim_wrapper(dict(optimizer=dict(type='SGD', lr=0.1)))
    runner.train_loop.dataloader = Timer()
    began = time.perf_counter()
    runner.train()
    return time.perf_counter() - began


def bare():
    model = Line()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    began = time.perf_counter()
    for _ in range(ITERATIONS):
        loss = (model.weight * 2.0).mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return time.perf_counter() - began


logging.disable(logging.WARNING)
pairs = [(bare(), machine()) for _ in range(3)]
without, with_ = (min(times) * 1e6 / ITERATIONS for times in zip(*pairs))
print(f'MMEngine: bare loop {without:.2f} us, with the machine {with_:.2f} us, its own cost {with_ - without:.2f} us')
