import os.path as osp
from mmengine.config import read_base
from torch.optim import SGD
import torch.nn as nn
optim = dict(type=SGD, act=nn.ReLU, path=osp.join('a', 'b.c'))
optim.merge(dict(lr={{'$HOME_LR:80'}}, name='{{ fileBasename }}'))
