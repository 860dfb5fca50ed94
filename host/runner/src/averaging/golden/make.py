"""Writes values.json: averages of a model by MMEngine's own averaged models, after every update.

Needs: pip install torch==2.11.0 mmengine==0.10.7, and pip install --no-deps mmdet==3.3.0 (or MMDET, the folder of
its package): of MMDetection the one file of the average is read, not the package, which would ask for mmcv.
"""
import importlib.util
import json
import os
import pathlib
import sys
import types

import torch
from mmengine.model import ExponentialMovingAverage, MomentumAnnealingEMA, StochasticWeightAverage
from mmengine.registry import MODELS

CASES = [
    dict(type="ExponentialMovingAverage"),
    dict(type="ExponentialMovingAverage", momentum=0.3, interval=3),
    dict(type="ExponentialMovingAverage", momentum=0.3, update_buffers=True),
    dict(type="MomentumAnnealingEMA", momentum=0.1, gamma=3),
    dict(type="ExpMomentumEMA"),
    dict(type="ExpMomentumEMA", momentum=0.05, gamma=4, interval=2, update_buffers=True),
    dict(type="StochasticWeightAverage"),
    dict(type="StochasticWeightAverage", interval=2, update_buffers=True),
]
STEPS = 12


def load_exp_momentum_ema():
    folder = os.environ.get("MMDET") or importlib.util.find_spec("mmdet").submodule_search_locations[0]
    sys.modules["mmdet"] = types.ModuleType("mmdet")
    sys.modules["mmdet.registry"] = types.ModuleType("mmdet.registry")
    sys.modules["mmdet.registry"].MODELS = MODELS
    spec = importlib.util.spec_from_file_location("ema", pathlib.Path(folder, "models/layers/ema.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.ExpMomentumEMA


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor([0.5, -1.0, 2.0]))
        self.register_buffer("mean", torch.tensor([0.1, 0.2]))


def values(model):
    return dict(weight=model.weight.tolist(), mean=model.mean.tolist())


def record(case, classes):
    case = dict(case)
    model = Model()
    out = dict(average=dict(case), initial=values(model), steps=[])
    average = classes[case.pop("type")](model, **case)
    for step in range(STEPS):
        with torch.no_grad():
            model.weight.copy_((torch.arange(3) * 1.3 + step).sin() * 2)
            model.mean.copy_((torch.arange(2) * 0.7 + step).cos())
        average.update_parameters(model)
        out["steps"].append(dict(values(model), average=values(average.module)))
    return out


if __name__ == "__main__":
    classes = {kind.__name__: kind for kind in (
        ExponentialMovingAverage, MomentumAnnealingEMA, StochasticWeightAverage, load_exp_momentum_ema())}
    lines = ",\n".join(json.dumps(record(case, classes), separators=(",", ":")) for case in CASES)
    pathlib.Path(__file__).with_name("values.json").write_text(f"[\n{lines}\n]\n")
