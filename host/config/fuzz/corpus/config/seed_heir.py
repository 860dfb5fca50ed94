_base_ = '../base.py'
_propagate_ = True
model = _base_.model
model.bbox_head.num_classes = 3
model['neck'].update(dict(out_channels=_base_.width * 2))
_base_.train_pipeline[-3:-1] = []
del _base_.visualizer
albu = _base_.pop('albu_train_transforms')
train_dataloader = dict(batch_size={{_base_.batch}} // 2, dataset=dict(_delete_=True, ann_file='{{_base_.root}}x.json'))
work_dir = './work_dirs/{{ fileBasenameNoExtension }}' + '{{$SUFFIX:/a}}'
custom_imports = dict(imports=['x.y'], allow_failed_imports=False)
