"""An `ImageClassifier` for make.py, by the formulas of MMPretrain 1.x, which is not needed then: a backbone of MMDetection, the
mean of its last map, a layer of weights, softmax and cross entropy.
"""
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from torch import nn
from torch.nn import functional as F


class LinearClsHead(nn.Module):
    def __init__(self, classes, channels):
        super().__init__()
        self.fc = nn.Linear(channels, classes)


@MODELS.register_module(force=True)
class ImageClassifier(nn.Module):
    def __init__(self, backbone, neck, head, data_preprocessor):
        super().__init__()
        assert neck['type'] == 'GlobalAveragePooling' and head['type'] == 'LinearClsHead'
        preprocessor = dict(data_preprocessor, type='DetDataPreprocessor')
        preprocessor['bgr_to_rgb'] = preprocessor.pop('to_rgb')
        self.data_preprocessor = MODELS.build(preprocessor)
        self.backbone = MODELS.build(backbone)
        self.head = LinearClsHead(head['num_classes'], head['in_channels'])

    def extract_feat(self, inputs):
        maps = self.backbone(inputs)
        return tuple(map.mean(dim=(2, 3)) for map in maps)

    def predict(self, inputs, samples):
        scores, labels = self.head.fc(self.extract_feat(inputs)[-1]).softmax(1).sort(dim=1, descending=True)
        results = []
        for sample, own, best in zip(samples, scores, labels):
            height, width = sample.ori_shape
            boxes = torch.tensor([[0., 0., width, height]]).repeat(len(own), 1)
            result = DetDataSample()
            result.pred_instances = InstanceData(bboxes=boxes, scores=own, labels=best)
            results.append(result)
        return results

    def loss(self, inputs, samples):
        labels = torch.tensor([sample.gt_label for sample in samples])
        self.found_labels(labels)
        return dict(loss=F.cross_entropy(self.head.fc(self.extract_feat(inputs)[-1]), labels))

    def found_labels(self, labels):
        return labels
