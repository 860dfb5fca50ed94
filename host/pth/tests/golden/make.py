"""Writes small .pth files with PyTorch and MMEngine, and expected.json: what is in them.

Needs: pip install torch==2.11.0 mmengine==0.10.7 "numpy<2"
"""
import collections
import json
import pathlib

import numpy as np
import torch
from mmengine.logging import MessageHub
from mmengine.optim import MultiStepLR

HERE = pathlib.Path(__file__).parent
torch.manual_seed(0)


def kinds():
    base = torch.arange(10, dtype=torch.float32)
    out = collections.OrderedDict()
    for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16,
                  torch.int8, torch.uint8):
        out[f"of_{str(dtype).removeprefix('torch.')}"] = torch.arange(1, 4).to(dtype)
    out["of_bool"] = torch.tensor([True, False, True])
    out["transposed"] = base[2:8].reshape(2, 3).t()
    out["same_numbers"] = base[4:6]
    out["scalar"] = torch.tensor(7, dtype=torch.int64)
    out["empty"] = torch.zeros(0, 3)
    out["parameter"] = torch.nn.Parameter(torch.tensor([[0.5], [-1.5]]))
    return out


def of_mmengine():
    hub = MessageHub.get_instance("golden")
    for step in range(3):
        hub.update_scalar("train/loss", 0.5 * step)
    hub.update_info("value", np.float64(3.0))
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 1), torch.nn.BatchNorm2d(2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scheduler = MultiStepLR(optimizer, milestones=[1, 2])
    model(torch.ones(1, 3, 2, 2)).sum().backward()
    optimizer.step()
    ema = collections.OrderedDict((f"module.{key}", value + 1) for key, value in model.state_dict().items())
    ema["steps"] = torch.tensor(12)
    return dict(
        meta=dict(epoch=3, iter=30, cfg="a = 1\n", seed=7, experiment_name="golden", time="20240101_000000",
                  mmengine_version="0.10.7", dataset_meta=dict(classes=("cat", "dog"), palette=[(1, 2, 3), (4, 5, 6)])),
        state_dict=model.state_dict(), ema_state_dict=ema, message_hub=hub.state_dict(),
        optimizer=optimizer.state_dict(), param_schedulers=[scheduler.state_dict()])


def described(tensors):
    return [[name, str(tensor.dtype).removeprefix("torch."), list(tensor.shape), tensor.double().flatten().tolist()]
            for name, tensor in tensors.items()]


if __name__ == "__main__":
    tensors, checkpoint = kinds(), of_mmengine()
    torch.save(tensors, HERE / "kinds.pth")
    torch.save(dict(model=tensors), HERE / "kinds_stream.pth", _use_new_zipfile_serialization=False)
    torch.save(checkpoint, HERE / "mmengine.pth")
    expected = {
        "kinds.pth": dict(meta=None, state_dict=described(tensors)),
        "kinds_stream.pth": dict(meta=None, state_dict=described(tensors)),
        "mmengine.pth": dict(meta=checkpoint["meta"], state_dict=described(checkpoint["state_dict"])),
    }
    (HERE / "expected.json").write_text(json.dumps(expected, indent=0) + "\n")
