"""A training iteration of MMDetection, for `training_iteration.rs`: prints seconds of each and the peak memory as JSON.

Needs: torch==2.11.0 mmengine==0.10.7 mmdet==3.3.0, and mmcv==2.1.0 built with MMCV_WITH_OPS=1.
Run: python training_iteration.py CASE THREADS ITERATIONS
"""
import json
import pathlib
import resource
import sys
import time

import numpy as np
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.utils import register_all_modules
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData


def main(name, threads, iterations):
    torch.set_num_threads(threads)
    register_all_modules()
    case = json.loads(pathlib.Path(__file__).with_suffix('.json').read_text())[name]
    model = MODELS.build(ConfigDict(case['model']))
    model.init_weights()
    model.train()
    height, width = case['size']
    random = np.random.RandomState(0)
    inputs, samples = [], []
    for _ in range(case['batch']):
        inputs.append(torch.from_numpy(random.randint(0, 256, (3, height, width), dtype=np.uint8)))
        low = random.rand(case['boxes'], 2) * [width - 120, height - 120]
        boxes = np.concatenate([low, low + 20 + random.rand(case['boxes'], 2) * 100], 1)
        sample = DetDataSample()
        sample.set_metainfo(dict(img_shape=(height, width), ori_shape=(height, width), scale_factor=(1.0, 1.0)))
        sample.gt_instances = InstanceData(
            bboxes=torch.tensor(boxes, dtype=torch.float32), labels=torch.from_numpy(random.randint(0, 80, case['boxes'])))
        samples.append(sample)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.001, momentum=0.9)
    seconds = []
    for _ in range(iterations):
        began = time.perf_counter()
        batch = model.data_preprocessor(dict(inputs=inputs, data_samples=samples), True)
        losses = model.loss(batch['inputs'], batch['data_samples'])
        total = sum(sum(v) if isinstance(v, (list, tuple)) else v for k, v in losses.items() if 'loss' in k)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        seconds.append(time.perf_counter() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(json.dumps(dict(seconds=seconds, peak_gib=peak)))


if __name__ == '__main__':
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
