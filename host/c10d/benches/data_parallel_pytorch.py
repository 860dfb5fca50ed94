"""What data_parallel.rs runs as its peer: the same model, batch, update and Gloo with DistributedDataParallel.

Arguments: steps to warm up, steps of a round, rounds. Prints milliseconds per step: of the median round, and
of processor time over all rounds.
"""
import os
import sys
import time

import torch
import torch.distributed as dist
from torch import nn


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        channels = [3, 64, 128, 256, 512]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False) for before, after in zip(channels, channels[1:]))
        self.first = nn.Linear(8192, 512, bias=False)
        self.second = nn.Linear(512, 10, bias=False)

    def forward(self, x):
        for convolution in self.convolutions:
            x = torch.relu(convolution(x))
        return self.second(torch.relu(self.first(x.flatten(1))))


def main():
    warm_up, steps, rounds = map(int, sys.argv[1:4])
    rank, world = int(os.environ['RANK']), int(os.environ['WORLD_SIZE'])
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = Model()
    if world > 1:
        os.environ.setdefault('GLOO_SOCKET_IFNAME', 'lo')
        dist.init_process_group('gloo')
        model = nn.parallel.DistributedDataParallel(model, broadcast_buffers=False)
    images, labels = torch.randn(8, 3, 64, 64), torch.randint(10, (8, ))
    parameters = list(model.parameters())

    def step():
        nn.functional.cross_entropy(model(images), labels).backward()
        with torch.no_grad():
            for parameter in parameters:
                parameter.add_(parameter.grad * -1e-3)
                parameter.grad.zero_()

    for _ in range(warm_up):
        step()
    found, before = [], time.process_time()
    for _ in range(rounds):
        if world > 1:
            dist.barrier()
        began = time.perf_counter()
        for _ in range(steps):
            step()
        found.append((time.perf_counter() - began) * 1e3 / steps)
    processor = (time.process_time() - before) * 1e3 / (rounds * steps)
    if rank == 0:
        print(sorted(found)[rounds // 2], processor)
    if world > 1:
        dist.barrier()
        dist.destroy_process_group()


main()
