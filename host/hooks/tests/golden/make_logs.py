"""Makes logs.json: what MMEngine 0.10.7 logs in small runs, with everything that its LoggerHook was told.

    pip install torch==2.11.0 mmengine==0.10.7
    python make_logs.py logs.json

Each scenario is a list of events in the order in which they came:
  ["scalar", key, value, count]   a value that the message hub was given
  ["info", key, value]            eta, which the lines show
  ["call", point, counters, batch_idx, lines, records]
                                  a call of the LoggerHook, what it logged and what it wrote to scalars.json
Time is counted, not measured, so that a second run writes the same file.
"""
import json
import logging
import sys
import tempfile
from unittest import mock

import torch
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook, LoggerHook
from mmengine.logging import MessageHub
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch.utils.data import Dataset

EVENTS = []
LINES = []


class Numbers(Dataset):
    def __init__(self, length):
        self.length = length

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        return torch.tensor([float(index)])


class Model(BaseModel):
    """Its losses are a fixed series, whatever the weights are."""

    def __init__(self):
        super().__init__()
        self.head = torch.nn.Linear(1, 1)
        self.steps = 0
        torch.nn.init.constant_(self.head.weight, 0.5)
        torch.nn.init.constant_(self.head.bias, 0.0)

    def forward(self, *batch, mode='tensor'):
        out = self.head(torch.stack(batch)).mean()
        if mode != 'loss':
            return [out.detach()]
        self.steps += 1
        box = 7.25 / self.steps + 0.0 * out
        cls = (float('nan') if self.steps == 7 else 1234.5 / self.steps**2) + 0.0 * out
        return dict(loss_box=box, loss_cls=[cls, cls / 3], acc=torch.tensor(10.0 * self.steps), norm=out)


class Metric(BaseMetric):
    default_prefix = 'toy'

    def process(self, data_batch, data_samples):
        self.results.append(1)

    def compute_metrics(self, results):
        return dict(mAP=0.1234567 * len(results), tiny=1.5e-7)


def counted_time(step=[0, 1000.0]):
    step[0] += 1
    step[1] += 0.003 * (step[0] % 5 + 1)
    return step[1]


def watch_hub():
    scalar, info = MessageHub.update_scalar, MessageHub.update_info

    def update_scalar(self, key, value, count=1, resumed=True):
        EVENTS.append(['scalar', key, float(self._get_valid_value(value)), count])
        return scalar(self, key, value, count, resumed)

    def update_info(self, key, value, resumed=True):
        if key == 'eta':
            EVENTS.append(['info', key, float(value)])
        return info(self, key, value, resumed)

    MessageHub.update_scalar, MessageHub.update_info = update_scalar, update_info


class WatchedLoggerHook(LoggerHook):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)

    def watched(self, point, runner, batch_idx, **kwargs):
        records = []
        LINES.clear()

        def add_scalars(tag, step=0, file_path=None):
            # As LocalVisBackend does it: `step` comes last unless it is there.
            record = dict(tag)
            record.setdefault('step', step)
            records.append(json.loads(json.dumps(record)))

        loop = None if isinstance(runner._train_loop, dict) or runner._train_loop is None else runner._train_loop
        stage = point.split('_')[1]
        loader = getattr(runner, f'{stage}_dataloader')
        counters = dict(
            epoch=loop.epoch if loop else 0,
            iter=loop.iter if loop else 0,
            max_epochs=loop.max_epochs if loop else 0,
            max_iters=loop.max_iters if loop else 0,
            epoch_length=len(loader),
            by_epoch=type(loop).__name__ != 'IterBasedTrainLoop')
        with mock.patch.object(runner.visualizer, 'add_scalars', add_scalars):
            if batch_idx is None:
                getattr(LoggerHook, point)(self, runner, **kwargs)
            else:
                getattr(LoggerHook, point)(self, runner, batch_idx, **kwargs)
        if point == 'after_test_epoch':
            with open(f'{runner.log_dir}/{self.json_log_path}') as file:
                records.append(json.load(file))
        lines = [line.replace(runner.experiment_name, 'NAME') for line in LINES]
        EVENTS.append(['call', point, counters, batch_idx, lines, records])

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.watched('after_train_iter', runner, batch_idx)

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.watched('after_val_iter', runner, batch_idx)

    def after_test_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.watched('after_test_iter', runner, batch_idx)

    def after_val_epoch(self, runner, metrics=None):
        self.watched('after_val_epoch', runner, None, metrics=metrics)

    def after_test_epoch(self, runner, metrics=None):
        self.watched('after_test_epoch', runner, None, metrics=metrics)


class StopAfter(Hook):
    def __init__(self, epochs):
        self.epochs = epochs

    def after_val_epoch(self, runner, metrics=None):
        runner.train_loop.stop_training = runner.epoch >= self.epochs


class Collect(logging.Handler):
    def emit(self, record):
        LINES.append(record.getMessage())


def loader(length):
    return dict(
        dataset=Numbers(length), batch_size=2, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False))


def scenario(logger, log_processor, train_cfg, train=True, test=False, groups=False, clip=False,
             stop_after=None):
    EVENTS.clear()
    optimizer = dict(type='SGD', lr=0.01)
    wrapper = dict(type='OptimWrapper', optimizer=optimizer)
    if clip:
        wrapper['clip_grad'] = dict(max_norm=1.0)
    if groups:
        wrapper['paramwise_cfg'] = dict(bias_lr_mult=2.0)
    with tempfile.TemporaryDirectory() as work:
        runner = Runner(
            model=Model(),
            work_dir=work,
            train_dataloader=loader(14) if train else None,
            val_dataloader=loader(5) if train else None,
            test_dataloader=loader(7) if test else None,
            train_cfg=train_cfg if train else None,
            val_cfg=dict() if train else None,
            test_cfg=dict() if test else None,
            optim_wrapper=wrapper if train else None,
            param_scheduler=dict(type='LinearLR', start_factor=0.01, by_epoch=False, end=9) if train else None,
            val_evaluator=dict(type=Metric) if train else None,
            test_evaluator=dict(type=Metric) if test else None,
            default_hooks=dict(logger=dict(type=WatchedLoggerHook, **logger)),
            log_processor=log_processor,
            randomness=dict(seed=0),
            experiment_name=f'run{len(SCENARIOS)}')
        runner.logger.addHandler(Collect())
        if stop_after:
            runner.register_hook(StopAfter(stop_after))
        if train:
            runner.train()
        if test:
            runner.test()
    return dict(
        logger=logger, log_processor={k: v for k, v in log_processor.items() if k != 'type'}, events=list(EVENTS))


SCENARIOS = {}
watch_hub()
with mock.patch('mmengine.hooks.iter_timer_hook.time.time', counted_time):
    SCENARIOS['epochs with test, two groups, clipping'] = scenario(
        dict(interval=3, interval_exp_name=5), dict(window_size=4), dict(by_epoch=True, max_epochs=10, val_interval=2),
        test=True, groups=True, clip=True, stop_after=2)
    SCENARIOS['the rest of an epoch too'] = scenario(
        dict(interval=4, ignore_last=False), dict(window_size=50), dict(by_epoch=True, max_epochs=2))
    SCENARIOS['an interval longer than an epoch'] = scenario(
        dict(interval=50), dict(), dict(by_epoch=True, max_epochs=1))
    SCENARIOS['iterations'] = scenario(
        dict(interval=6), dict(by_epoch=False), dict(by_epoch=False, max_iters=24, val_interval=12))
    SCENARIOS['iterations, metrics by iteration'] = scenario(
        dict(interval=7, log_metric_by_epoch=False), dict(by_epoch=False),
        dict(by_epoch=False, max_iters=14, val_interval=7), test=True)
    SCENARIOS['a test alone'] = scenario(dict(interval=2), dict(), None, train=False, test=True)
    SCENARIOS['custom statistics and six digits'] = scenario(
        dict(interval=2),
        dict(
            window_size=3,
            num_digits=6,
            custom_cfg=[
                dict(data_src='loss_box', method_name='max', window_size='epoch'),
                dict(data_src='loss_box', log_name='loss_box_least', method_name='min', window_size=2),
                dict(data_src='acc', log_name='acc_mean', method_name='mean', window_size='global'),
                dict(data_src='acc', log_name='acc_now', method_name='current'),
                dict(data_src='time', log_name='longest', method_name='max', window_size=3),
            ]), dict(by_epoch=True, max_epochs=2))
    SCENARIOS['with hierarchy'] = scenario(
        dict(interval=5), dict(log_with_hierarchy=True), dict(by_epoch=True, max_epochs=1), groups=True)
with open(sys.argv[1], 'w') as file:
    json.dump(SCENARIOS, file, separators=(',', ':'))
    file.write('\n')
