"""Writes one JSON file per case of cases.json: what MMDetection computes with weights and pictures that both sides make by
the same formulas. Whole arrays would be large: of each there are its size, its norm, and some of its numbers.

Needs: torch==2.11.0 mmengine==0.10.7 mmdet==3.3.0, and mmcv==2.1.0 built with MMCV_WITH_OPS=1.
Run: OMP_NUM_THREADS=1 python make.py [case ...]
"""
import json
import pathlib
import sys

import classifier  # noqa: F401, MMDetection has none
import numpy as np
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.utils import register_all_modules
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData

HERE = pathlib.Path(__file__).parent
SAMPLES = 5
BOX_SAMPLES = 40
MASK = (1 << 64) - 1


def mix(z):
    """SplitMix64's last steps, on an array of uint64."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def units(name, count):
    """Numbers in [0, 1), exact in single precision, that depend on a name alone."""
    state = 0xCBF29CE484222325
    for byte in name.encode():
        state = ((state ^ byte) * 0x100000001B3) & MASK
    with np.errstate(over='ignore'):
        steps = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(state)
        bits = mix(steps) >> np.uint64(40)
    return (bits.astype(np.float64) / 2**24).astype(np.float32)


def fill(model, gain):
    """Weights by their names, so that no file of weights is needed."""
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name.endswith('num_batches_tracked') or 'data_preprocessor' in name:
                continue
            unit = torch.from_numpy(units(name, tensor.numel())).view(tensor.shape)
            if tensor.dim() > 1:
                fan_in = tensor[0].numel()
                bound = np.float32(gain * (3.0 / fan_in) ** 0.5)
                tensor.copy_((unit * 2 - 1) * bound)
            elif name.endswith('running_var'):
                tensor.copy_(unit * 0.5 + 0.5)
            elif name.endswith('.scale'):
                tensor.copy_(unit * 2 + 3)
            elif name.endswith('conv_reg.bias'):
                tensor.copy_(unit * 0.25 + 0.5)
            elif name.endswith('weight'):
                tensor.copy_(unit * 0.4 + 0.4)
            else:
                tensor.copy_((unit * 2 - 1) * 0.1)


def pictures(case, step):
    """The pictures of a batch, and their samples."""
    inputs, samples = [], []
    for index, picture in enumerate(case['pictures']):
        height, width = picture['size']
        pixels = units(f'picture {step} {index}', height * width * 3)
        # Smooth in squares of 8: noise alone would say nothing to deep layers.
        rough = units(f'rough {step} {index}', (height // 8 + 1) * (width // 8 + 1) * 3)
        rough = rough.reshape(height // 8 + 1, width // 8 + 1, 3).repeat(8, 0).repeat(8, 1)[:height, :width]
        mixed = pixels.reshape(height, width, 3) * np.float32(0.25) + rough * np.float32(0.75)
        image = (mixed * np.float32(255)).astype(np.uint8)
        inputs.append(torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))))
        sample = DetDataSample()
        scale = tuple(picture.get('scale', [1.0, 1.0]))
        if 'label' in picture:
            sample.gt_label = picture['label']
        sample.set_metainfo(dict(img_shape=(height, width), ori_shape=(height, width), scale_factor=scale, img_id=index))
        sample.gt_instances = InstanceData(
            bboxes=torch.tensor(picture.get('boxes', []), dtype=torch.float32).view(-1, 4),
            labels=torch.tensor(picture.get('labels', []), dtype=torch.int64))
        sample.ignored_instances = InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.int64))
        samples.append(sample)
    return dict(inputs=inputs, data_samples=samples)


def short(number):
    """As many digits as single precision has."""
    return float(f'{float(number):.8g}')


def told(tensor, samples=SAMPLES):
    """Size, norm and some numbers of an array, evenly spread."""
    flat = tensor.detach().double().reshape(-1)
    count = flat.numel()
    at = [i * count // samples for i in range(min(samples, count))] if count > samples else list(range(count))
    return dict(size=list(tensor.shape), norm=short(flat.norm()), values=[short(flat[i]) for i in at])


def listen(model, found):
    """Keeps what heads are to find."""
    def wrap(owner, method, keep):
        original = getattr(owner, method)

        def wrapped(*args, **kwargs):
            result = original(*args, **kwargs)
            keep(result)
            return result
        setattr(owner, method, wrapped)

    def anchors(name):
        def keep(result):
            labels, label_weights, bbox_targets, bbox_weights, avg_factor = result[:5]
            positive = torch.cat([w[..., 0].reshape(-1) for w in bbox_weights]) > 0
            found[name] = dict(
                count=float(avg_factor), positive=int(positive.sum()),
                labelled=int(sum((w > 0).sum() for w in label_weights)),
                targets=told(torch.cat([t.reshape(-1, 4) for t in bbox_targets])[positive], BOX_SAMPLES))
        return keep

    def regions(result):
        labels, label_weights, bbox_targets, bbox_weights = result
        positive = bbox_weights[:, 0] > 0
        found['roi'] = dict(
            count=float(len(labels)), positive=int(positive.sum()), labelled=int((label_weights > 0).sum()),
            targets=told(bbox_targets[positive], BOX_SAMPLES))

    def grids(results):
        masks, cls_targets, obj_targets, bbox_targets = results[:4]
        found['yolox'] = dict(
            count=float(sum(results[5])), positive=int(sum(m.sum() for m in masks)), labelled=int(sum(m.numel() for m in masks)),
            targets=told(torch.cat(bbox_targets), BOX_SAMPLES))

    def places(name, head):
        def keep(result):
            labels, bbox_targets = (torch.cat(maps) for maps in result)
            positive = labels < head.num_classes
            found[name] = dict(
                count=float(positive.sum()), positive=int(positive.sum()), labelled=len(labels),
                targets=told(bbox_targets[positive], BOX_SAMPLES))
        return keep

    def dense(name, head):
        is_without_anchors = type(head).__name__ == 'FCOSHead'
        wrap(head, 'get_targets', places(name, head) if is_without_anchors else anchors(name))

    def classes(labels):
        found['classes'] = dict(
            count=len(labels), positive=len(labels), labelled=len(labels), targets=told(labels.float().view(-1, 1), BOX_SAMPLES))

    if type(model).__name__ == 'ImageClassifier':
        wrap(model, 'found_labels', classes)
    elif hasattr(model, 'rpn_head'):
        dense('rpn', model.rpn_head)
        wrap(model.roi_head.bbox_head, 'get_targets', regions)
    elif type(model).__name__ == 'YOLOX':
        # All pictures one by one; put together as the head does.
        rows = []
        original = model.bbox_head._get_targets_single

        def single(*args, **kwargs):
            result = original(*args, **kwargs)
            rows.append(result)
            if len(rows) == model.golden_batch:
                grids([list(column) for column in zip(*rows)])
                rows.clear()
            return result
        model.bbox_head._get_targets_single = single
    else:
        dense('bbox', model.bbox_head)


def total(losses):
    return sum(sum(v) if isinstance(v, (list, tuple)) else v for k, v in losses.items() if 'loss' in k)


def run(name, case):
    model = MODELS.build(ConfigDict(case['model']))
    model.golden_batch = len(case['pictures'])
    fill(model, case['gain'])
    result = dict(parameters=[n for n, _ in model.named_parameters()])
    targets = {}
    listen(model, targets)
    if case.get('use_l1'):
        model.bbox_head.use_l1 = True

    model.eval()
    with torch.no_grad():
        batch = model.data_preprocessor(pictures(case, 0), False)
        features = model.extract_feat(batch['inputs'])
        result['features'] = [told(map) for map in features]
        predicted = model.predict(batch['inputs'], batch['data_samples'])
    result['boxes'] = [
        dict(boxes=p.pred_instances.bboxes.numpy().round(3).tolist(), scores=p.pred_instances.scores.numpy().round(6).tolist(),
             labels=p.pred_instances.labels.tolist()) for p in predicted]

    model.train()
    batch = model.data_preprocessor(pictures(case, 0), True)
    losses = model.loss(batch['inputs'], batch['data_samples'])
    result['losses'] = {k: float(sum(v) if isinstance(v, (list, tuple)) else v) for k, v in losses.items()}
    result['targets'] = targets
    total(losses).backward()
    result['gradients'] = {
        n: told(p.grad) for n, p in model.named_parameters() if p.requires_grad and p.grad is not None}
    result['trained'] = [n for n, p in model.named_parameters() if p.requires_grad]

    model = MODELS.build(ConfigDict(case['model']))
    model.golden_batch = len(case['pictures'])
    fill(model, case['gain'])
    if case.get('use_l1'):
        model.bbox_head.use_l1 = True
    model.train()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=case['learning_rate'], momentum=0.9, weight_decay=1e-4)
    curve = []
    for step in range(10):
        batch = model.data_preprocessor(pictures(case, step), True)
        loss = total(model.loss(batch['inputs'], batch['data_samples']))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        curve.append(loss.item())
    result['curve'] = curve
    text = json.dumps(result)
    (HERE / f'{name}.json').write_text(text + '\n')
    print(name, len(text), 'bytes;', result['losses'], [len(p['scores']) for p in result['boxes']], targets, curve)


if __name__ == '__main__':
    register_all_modules()
    cases = json.loads((HERE / 'cases.json').read_text())
    for name in sys.argv[1:] or cases:
        run(name, cases[name])
