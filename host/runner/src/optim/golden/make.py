"""Writes values.json: parameters after updates by PyTorch's own optimizers, and by lion-pytorch's.

Needs: pip install torch==2.11.0 lion-pytorch==0.2.5
"""
import json
import math
import pathlib

import torch
from lion_pytorch import Lion

STEPS = 20
# After this many updates the learning rate is halved, as a schedule would.
HALVED_AFTER = 10
LOOK_AT = (1, 2, 5, 10, 20)
SHAPES = [(3, 2, 2), (5,)]
CASES = [
    ("SGD", dict(lr=0.1)),
    ("SGD", dict(lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=True)),
    ("SGD", dict(lr=0.1, momentum=0.9, dampening=0.3, maximize=True)),
    ("Adam", dict(lr=0.01, weight_decay=0.02)),
    ("Adam", dict(lr=0.01, betas=[0.8, 0.95], weight_decay=0.02, amsgrad=True, decoupled_weight_decay=True)),
    ("AdamW", dict(lr=0.01)),
    ("AdamW", dict(lr=0.01, amsgrad=True, maximize=True, eps=1e-6)),
    ("Adadelta", dict()),
    ("Adadelta", dict(lr=0.5, rho=0.8, eps=1e-5, weight_decay=0.01)),
    ("Adagrad", dict()),
    ("Adagrad", dict(lr=0.05, lr_decay=0.1, weight_decay=0.01, initial_accumulator_value=0.2)),
    ("Adamax", dict()),
    ("Adamax", dict(lr=0.01, betas=[0.8, 0.95], weight_decay=0.01)),
    ("ASGD", dict()),
    ("ASGD", dict(lr=0.05, lambd=0.01, alpha=0.6, t0=3, weight_decay=0.01)),
    ("NAdam", dict()),
    ("NAdam", dict(lr=0.01, betas=[0.8, 0.95], momentum_decay=0.01, weight_decay=0.01, decoupled_weight_decay=True)),
    ("RAdam", dict()),
    ("RAdam", dict(lr=0.01, betas=[0.8, 0.95], weight_decay=0.01)),
    ("RAdam", dict(lr=0.01, weight_decay=0.01, decoupled_weight_decay=True, maximize=True)),
    ("RMSprop", dict()),
    ("RMSprop", dict(lr=0.02, alpha=0.9, weight_decay=0.01, momentum=0.8)),
    ("RMSprop", dict(lr=0.02, centered=True, momentum=0.5)),
    ("Rprop", dict()),
    ("Rprop", dict(lr=0.02, etas=[0.4, 1.3], step_sizes=[1e-3, 0.05])),
    ("Lion", dict()),
    ("Lion", dict(lr=0.01, betas=[0.8, 0.95], weight_decay=0.1, decoupled_weight_decay=True)),
]


def numbers(shape, seed):
    count = math.prod(shape)
    return (torch.arange(count, dtype=torch.float32) * 1.7 + seed).sin().reshape(shape)


def gradients():
    """For each step, for each parameter; some are 0, and one grows large."""
    out = []
    for step in range(STEPS):
        row = [numbers(shape, 2.3 * step + index) for index, shape in enumerate(SHAPES)]
        row[1][step % 5] = 0.0
        row[0][0, 0, 0] *= 50.0
        out.append(row)
    return out


def values_of(name, arguments):
    parameters = [torch.nn.Parameter(numbers(shape, 0.5 + index)) for index, shape in enumerate(SHAPES)]
    arguments = {key: tuple(value) if isinstance(value, list) else value for key, value in arguments.items()}
    optimizer = (Lion if name == "Lion" else getattr(torch.optim, name))(parameters, **arguments)
    out = {}
    for step, row in enumerate(gradients(), start=1):
        for parameter, gradient in zip(parameters, row):
            parameter.grad = gradient.clone()
        optimizer.step()
        if step == HALVED_AFTER:
            for group in optimizer.param_groups:
                group["lr"] *= 0.5
        if step in LOOK_AT:
            out[step] = [parameter.detach().flatten().tolist() for parameter in parameters]
    return out


if __name__ == "__main__":
    record = dict(
        halved_after=HALVED_AFTER,
        shapes=SHAPES,
        initial=[numbers(shape, 0.5 + index).flatten().tolist() for index, shape in enumerate(SHAPES)],
        gradients=[[gradient.flatten().tolist() for gradient in row] for row in gradients()],
        cases=[dict(optimizer=dict(type=name, **arguments), values=values_of(name, arguments)) for name, arguments in CASES],
    )
    text = json.dumps(record, separators=(",", ":")).replace('{"optimizer"', '\n{"optimizer"')
    pathlib.Path(__file__).with_name("values.json").write_text(text + "\n")
