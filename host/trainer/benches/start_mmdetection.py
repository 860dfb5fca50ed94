"""Trains the config named on the command line with MMDetection, as its tools/train.py does."""
import sys

from mmengine.config import Config
from mmengine.runner import Runner

config = Config.fromfile(sys.argv[1])
config.work_dir = sys.argv[2]
Runner.from_cfg(config).train()
