from mmengine.config import read_base
from mmengine.optim import OptimWrapper as Wrapper
import torch.nn as nn

with read_base():
    from .._base_.default_runtime import *
    from .a import model, train_pipeline

model.update(dict(backbone=dict(norm_cfg=dict(type=nn.BatchNorm2d, requires_grad=False)), neck=None))
model.merge(dict(roi_head=dict(_delete_=True, type=Wrapper)))
train_pipeline.insert(1, dict(type='A'))
train_pipeline += [dict(type='B')]
