"""Writes values.json: what MMEngine's own schedulers give at every iteration.

Needs: pip install torch==2.11.0 mmengine==0.10.7, and pip install --no-deps mmdet==3.3.0 (or MMDET, the folder of
its package): of MMDetection the one file of the quadratic warm-up is read, not the package, which would ask for mmcv.
"""
import copy
import importlib.util
import itertools
import json
import os
import pathlib
import sys
import types

import torch
from mmengine.registry import PARAM_SCHEDULERS

# The arguments of each family, in epochs; six epochs of four iterations.
FAMILIES = dict(
    Constant=dict(factor=0.3, end=4),
    CosineAnnealing=dict(T_max=4, eta_min=0.05, begin=1, end=6),
    CosineRestart=dict(periods=[2, 3], restart_weights=[1.0, 0.6], eta_min_ratio=0.01),
    Exponential=dict(gamma=0.8, begin=1),
    Linear=dict(start_factor=0.2, end_factor=0.7, begin=1, end=5),
    MultiStep=dict(milestones=[1, 3, 3], gamma=0.4, begin=1),
    OneCycle=dict(eta_max=0.5, total_steps=6),
    Poly=dict(power=1.7, eta_min=0.02, end=5),
    QuadraticWarmup=dict(begin=1, end=4),
    Step=dict(step_size=2, gamma=0.6, begin=1),
)
EPOCHS, LENGTH = 6, 4
IN_STEPS = ("begin", "end", "T_max", "total_steps", "step_size")


def by_iteration(arguments):
    """The same in iterations."""
    out = dict(arguments, by_epoch=False)
    for key in IN_STEPS:
        if key in out:
            out[key] *= LENGTH
    for key in ("milestones", "periods"):
        if key in out:
            out[key] = [LENGTH * step for step in out[key]]
    return out


def every_form():
    units = [("by epoch", dict), ("by iteration", by_iteration),
             ("converted", lambda arguments: dict(arguments, convert_to_iter_based=True))]
    forms = [("LR", {}), ("Momentum", {}), ("ParamScheduler", dict(param_name="lr")),
             ("ParamScheduler", dict(param_name="momentum")), ("ParamScheduler", dict(param_name="weight_decay"))]
    for (family, arguments), (form, extra), (unit, convert) in itertools.product(FAMILIES.items(), forms, units):
        if family == "OneCycle" and (form == "Momentum" or extra.get("param_name", "lr") != "lr"):
            continue
        name = f"{family}{form} {extra.get('param_name', '')} {unit}"
        yield dict(name=name, epochs=EPOCHS, length=LENGTH,
                   schedulers=[dict(type=family + form, **extra, **convert(arguments))])


# Metrics of nine validations, one after each epoch.
FALLING = [0.9, 0.7, 0.71, 0.7, 0.72, 0.69999, 0.5, 0.6, 0.6]
RISING = [0.1, 0.3, 0.3, 0.29, 0.31, 0.31, 0.31, 0.31, 0.31]

CASES = [
    dict(name="linear", epochs=8, schedulers=[dict(type="LinearLR", start_factor=0.5, begin=0, end=5)]),
    dict(name="linear from 2", epochs=8, schedulers=[dict(type="LinearLR", start_factor=0.5, begin=2, end=6)]),
    dict(name="linear of one step", epochs=4, schedulers=[dict(type="LinearLR", start_factor=0.1, begin=0, end=1)]),
    dict(name="linear down", epochs=8, schedulers=[dict(type="LinearLR", start_factor=0.9, end_factor=0.2)]),
    dict(name="defaults", epochs=8, schedulers=[dict(type="LinearLR"), dict(type="ConstantMomentum")]),
    dict(name="constant", epochs=6, schedulers=[dict(type="ConstantLR", factor=0.5, begin=0, end=4)]),
    dict(name="multi step, repeated", epochs=12,
         schedulers=[dict(type="MultiStepLR", milestones=[2, 4, 4, 7], begin=2, gamma=0.3)]),
    dict(name="step", epochs=10, schedulers=[dict(type="StepLR", step_size=3, gamma=0.7, begin=1, end=9)]),
    dict(name="exponential", epochs=6, length=3, schedulers=[dict(type="ExponentialLR", gamma=0.9)]),
    dict(name="cosine past its period", epochs=14, schedulers=[dict(type="CosineAnnealingLR", T_max=4)]),
    dict(name="cosine ratio", epochs=10, schedulers=[dict(type="CosineAnnealingLR", eta_min_ratio=0.05, begin=2)]),
    dict(name="poly", epochs=8, schedulers=[dict(type="PolyLR", power=0.9, eta_min=0.01, begin=1, end=7)]),
    dict(name="quadratic", epochs=6, schedulers=[dict(type="mmdet.QuadraticWarmupLR", begin=0, end=4)]),
    dict(name="one cycle", epochs=4, length=5,
         schedulers=[dict(type="OneCycleLR", eta_max=0.3, total_steps=20, by_epoch=False)]),
    dict(name="one cycle in three", epochs=4, length=5, schedulers=[
        dict(type="OneCycleLR", eta_max=0.3, by_epoch=False, three_phase=True, anneal_strategy="linear")]),
    dict(name="one cycle, a peak for each group", epochs=4, length=5, groups=[1.0, 0.1], schedulers=[
        dict(type="OneCycleLR", eta_max=[0.3, 0.2], by_epoch=False)]),
    dict(name="cosine restart", epochs=12, schedulers=[
        dict(type="CosineRestartLR", periods=[3, 5], restart_weights=[1.0, 0.5], eta_min=0.001)]),
    dict(name="begin inside an epoch", epochs=4, length=10, schedulers=[
        dict(type="LinearLR", start_factor=0.1, begin=0.5, end=2.5, convert_to_iter_based=True)]),
    dict(name="chain of three", epochs=10, length=3, groups=[0.1, 0.01], schedulers=[
        dict(type="LinearLR", start_factor=0.1, by_epoch=False, begin=0, end=5),
        dict(type="CosineAnnealingLR", begin=2, end=8, T_max=6, eta_min_ratio=0.1, convert_to_iter_based=True),
        dict(type="ExponentialLR", gamma=0.5, begin=8)]),
    dict(name="two that overlap", epochs=8, length=2, schedulers=[
        dict(type="CosineAnnealingLR", T_max=8), dict(type="StepLR", step_size=3), dict(type="PolyLR", begin=4)]),
    dict(name="rate and momentum", epochs=6, length=4, schedulers=[
        dict(type="CosineAnnealingLR", by_epoch=False, T_max=24),
        dict(type="LinearMomentum", start_factor=0.5, begin=0, end=3),
        dict(type="StepParamScheduler", param_name="weight_decay", step_size=2, gamma=0.5)]),
    dict(name="first beta of AdamW", epochs=6, length=4, optimizer="AdamW", schedulers=[
        dict(type="CosineAnnealingMomentum", eta_min=0.5, convert_to_iter_based=True),
        dict(type="StepLR", step_size=2)]),
    dict(name="plateau, less", epochs=9, metrics=FALLING, schedulers=[
        dict(type="ReduceOnPlateauLR", monitor="metric", patience=1, factor=0.5, threshold=1e-3)]),
    dict(name="plateau, greater, cool-down", epochs=9, metrics=RISING, length=2, groups=[1.0, 0.1], schedulers=[
        dict(type="ReduceOnPlateauLR", monitor="metric", rule="greater", patience=0, factor=0.3, threshold=0.015,
             threshold_rule="abs", cooldown=1, min_value=[0.05, 0.02])]),
    dict(name="plateau between begin and end", epochs=9, metrics=FALLING, schedulers=[
        dict(type="ReduceOnPlateauParamScheduler", param_name="momentum", monitor="metric", patience=0, begin=3, end=6),
        dict(type="LinearLR", start_factor=0.5, end=4)]),
    dict(name="plateau with a least change", epochs=9, metrics=RISING, schedulers=[
        dict(type="ReduceOnPlateauLR", monitor="metric", patience=0, factor=0.9, eps=0.085)]),
    # MMDetection's configs/_base_/schedules/schedule_1x.py on COCO with 8 x 2 pictures: 7330 iterations an epoch.
    dict(name="Faster R-CNN 1x", epochs=12, length=7330, stride=61, groups=[0.02], schedulers=[
        dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=500),
        dict(type="MultiStepLR", begin=0, end=12, by_epoch=True, milestones=[8, 11], gamma=0.1)]),
    # MMDetection's configs/yolox/yolox_tiny_8xb8-300e_coco.py: 1849 iterations an epoch.
    dict(name="YOLOX 300e", epochs=300, length=1849, stride=499, groups=[0.01], schedulers=[
        dict(type="mmdet.QuadraticWarmupLR", by_epoch=True, begin=0, end=5, convert_to_iter_based=True),
        dict(type="CosineAnnealingLR", eta_min=0.0005, begin=5, T_max=285, end=285, by_epoch=True,
             convert_to_iter_based=True),
        dict(type="ConstantLR", by_epoch=True, factor=1, begin=285, end=300)]),
    *every_form(),
]


def load_quadratic_warmup():
    """Registers MMDetection's schedulers with MMEngine, without importing the rest of MMDetection."""
    folder = os.environ.get("MMDET") or importlib.util.find_spec("mmdet").submodule_search_locations[0]
    sys.modules["mmdet"] = types.ModuleType("mmdet")
    sys.modules["mmdet.registry"] = types.ModuleType("mmdet.registry")
    sys.modules["mmdet.registry"].PARAM_SCHEDULERS = PARAM_SCHEDULERS
    path = pathlib.Path(folder, "engine/schedulers/quadratic_warmup.py")
    spec = importlib.util.spec_from_file_location("quadratic_warmup", path)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))


def make_optimizer(case):
    groups = [dict(params=[torch.nn.Parameter(torch.zeros(1))], lr=rate) for rate in case.get("groups", [1.0])]
    if case.get("optimizer") == "AdamW":
        return torch.optim.AdamW(groups, lr=1.0, betas=(0.9, 0.99), weight_decay=0.01)
    return torch.optim.SGD(groups, lr=1.0, momentum=0.9, weight_decay=0.01)


def momentum(group):
    return group["betas"][0] if "betas" in group else group["momentum"]


def values_of(case):
    optimizer = make_optimizer(case)
    length, iterations = case.get("length", 1), case["epochs"] * case.get("length", 1)
    schedulers = []
    for config in copy.deepcopy(case["schedulers"]):
        config["type"] = config["type"].removeprefix("mmdet.")
        config.setdefault("end", case["epochs"] if config.get("by_epoch", True) else iterations)
        schedulers.append(PARAM_SCHEDULERS.build(config, default_args=dict(optimizer=optimizer, epoch_length=length)))
    rows = []
    for iteration in range(iterations):
        if iteration % case.get("stride", 1) == 0 or iteration + 1 == iterations:
            rows.append([(group["lr"], momentum(group), group["weight_decay"]) for group in optimizer.param_groups])
        optimizer.step()
        for scheduler in schedulers:
            if not scheduler.by_epoch:
                scheduler.step()
        if (iteration + 1) % length == 0:
            for scheduler in schedulers:
                if scheduler.by_epoch:
                    scheduler.step()
            if "metrics" in case:
                metrics = dict(metric=case["metrics"][iteration // length])
                for scheduler in schedulers:
                    if getattr(scheduler, "need_val_args", False):
                        scheduler.step(metrics)
    return rows


def record(case):
    rows = values_of(case)
    out = dict(length=1, stride=1, groups=[1.0], metrics=None)
    out.update(case)
    # Columns that never change are left out.
    columns = {key: [[group[column] for group in row] for row in rows]
               for column, key in enumerate(("lr", "momentum", "weight_decay"))}
    out["values"] = {key: rows for key, rows in columns.items() if key == "lr" or any(row != rows[0] for row in rows)}
    return out


if __name__ == "__main__":
    load_quadratic_warmup()
    lines = ",\n".join(json.dumps(record(case), separators=(",", ":")) for case in CASES)
    pathlib.Path(__file__).with_name("values.json").write_text(f"[\n{lines}\n]\n")
