"""Writes values.json: what MMEngine's own schedulers give at every iteration.

Needs: pip install torch==2.11.0 mmengine==0.10.7, and MMDetection 3.3.0 unpacked or installed.
"""
import copy
import json
import pathlib

import torch
from mmdet.engine.schedulers import quadratic_warmup  # noqa: F401, registers its schedulers
from mmengine.registry import PARAM_SCHEDULERS

CASES = [
    dict(name="linear", epochs=8, length=1, schedulers=[dict(type="LinearLR", start_factor=0.5, begin=0, end=5)]),
    dict(name="linear from 2", epochs=8, length=1, schedulers=[dict(type="LinearLR", start_factor=0.5, begin=2, end=6)]),
    dict(name="linear of one step", epochs=4, length=1, schedulers=[dict(type="LinearLR", start_factor=0.1, begin=0, end=1)]),
    dict(name="linear down", epochs=8, length=1, schedulers=[dict(type="LinearLR", start_factor=0.9, end_factor=0.2)]),
    dict(name="constant", epochs=6, length=1, schedulers=[dict(type="ConstantLR", factor=0.5, begin=0, end=4)]),
    dict(name="multi step, repeated", epochs=12, length=1,
         schedulers=[dict(type="MultiStepLR", milestones=[2, 4, 4, 7], begin=2, gamma=0.3)]),
    dict(name="step", epochs=10, length=1, schedulers=[dict(type="StepLR", step_size=3, gamma=0.7, begin=1, end=9)]),
    dict(name="exponential", epochs=6, length=3, schedulers=[dict(type="ExponentialLR", gamma=0.9)]),
    dict(name="exponential by iteration", epochs=3, length=3,
         schedulers=[dict(type="ExponentialLR", gamma=0.9, convert_to_iter_based=True)]),
    dict(name="cosine past its period", epochs=14, length=1, schedulers=[dict(type="CosineAnnealingLR", T_max=4)]),
    dict(name="cosine ratio", epochs=10, length=1, schedulers=[dict(type="CosineAnnealingLR", eta_min_ratio=0.05, begin=2)]),
    dict(name="poly", epochs=8, length=1, schedulers=[dict(type="PolyLR", power=0.9, eta_min=0.01, begin=1, end=7)]),
    dict(name="quadratic", epochs=6, length=1, schedulers=[dict(type="mmdet.QuadraticWarmupLR", begin=0, end=4)]),
    dict(name="one cycle", epochs=4, length=5,
         schedulers=[dict(type="OneCycleLR", eta_max=0.3, total_steps=20, by_epoch=False)]),
    dict(name="one cycle in three", epochs=4, length=5, schedulers=[
        dict(type="OneCycleLR", eta_max=0.3, by_epoch=False, three_phase=True, anneal_strategy="linear")]),
    dict(name="cosine restart", epochs=12, length=1, schedulers=[
        dict(type="CosineRestartLR", periods=[3, 5], restart_weights=[1.0, 0.5], eta_min=0.001)]),
    dict(name="1x with warm-up", epochs=12, length=60, lr=0.02, schedulers=[
        dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=500),
        dict(type="MultiStepLR", begin=0, end=12, by_epoch=True, milestones=[8, 11], gamma=0.1)]),
    dict(name="yolox", epochs=300, length=3, lr=0.01, schedulers=[
        dict(type="mmdet.QuadraticWarmupLR", by_epoch=True, begin=0, end=5, convert_to_iter_based=True),
        dict(type="CosineAnnealingLR", eta_min=0.0005, begin=5, T_max=285, end=285, by_epoch=True,
             convert_to_iter_based=True),
        dict(type="ConstantLR", by_epoch=True, factor=1, begin=285, end=300)]),
    dict(name="rate and momentum", epochs=6, length=4, schedulers=[
        dict(type="CosineAnnealingLR", by_epoch=False, T_max=24),
        dict(type="LinearMomentum", start_factor=0.5, begin=0, end=3),
        dict(type="StepParamScheduler", param_name="weight_decay", step_size=2, gamma=0.5)]),
]


def values_of(case):
    parameter = torch.nn.Parameter(torch.zeros(1))
    rate = case.get("lr", 1.0)
    optimizer = torch.optim.SGD([parameter], lr=rate, momentum=0.9, weight_decay=0.01)
    length = case["length"]
    iterations = case["epochs"] * length
    schedulers = []
    for config in copy.deepcopy(case["schedulers"]):
        config.setdefault("end", case["epochs"] if config.get("by_epoch", True) else iterations)
        schedulers.append(PARAM_SCHEDULERS.build(config, default_args=dict(optimizer=optimizer, epoch_length=length)))
    rows = []
    for iteration in range(iterations):
        group = optimizer.param_groups[0]
        rows.append([group["lr"], group["momentum"], group["weight_decay"]])
        optimizer.step()
        for scheduler in schedulers:
            if not scheduler.by_epoch:
                scheduler.step()
        for scheduler in schedulers:
            if scheduler.by_epoch and (iteration + 1) % length == 0:
                scheduler.step()
    return rows


if __name__ == "__main__":
    out = []
    for case in CASES:
        rows = values_of(case)
        record = {key: case[key] for key in ("name", "epochs", "length", "schedulers")}
        record["lr"] = case.get("lr", 1.0)
        # Columns that never change are left out.
        record["values"] = {
            key: [row[column] for row in rows]
            for column, key in enumerate(("lr", "momentum", "weight_decay"))
            if key == "lr" or any(row[column] != rows[0][column] for row in rows)
        }
        out.append(record)
    lines = ",\n".join(json.dumps(record) for record in out)
    pathlib.Path(__file__).with_name("values.json").write_text(f"[\n{lines}\n]\n")
