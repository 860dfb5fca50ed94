_base_ = ['./a.py', 'mmdet::_base_/b.py']
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    type='X', data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True),
    backbone=dict(depth=50, out_indices=(0, 1, 2, 3), norm_cfg=norm_cfg, init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50')),
    roi_head=dict(bbox_head=[dict(num_classes=80, target_stds=[0.1 / (i + 1)] * 4) for i in range(3)]),
    train_cfg=dict(rcnn=[dict(assigner=dict(pos_iou_thr=t, neg_iou_thr=t)) for t in (0.5, 0.6, 0.7)]))
img_scales = [(1333, 800), (666, 400), (2000, 1200)]
tta_pipeline = [dict(type='TestTimeAug', transforms=[[dict(type='Resize', scale=s, keep_ratio=True) for s in img_scales], [dict(type='RandomFlip', prob=1.), dict(type='RandomFlip', prob=0.)]])]
num_classes = len(('a', 'b', 'c')); max_epochs = 12
param_scheduler = [dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=500), dict(type='MultiStepLR', milestones=[max_epochs * 8 // 12, max_epochs - 1], gamma=0.1)]
optim_wrapper = dict(optimizer=dict(lr=0.02 / 8 * 2, weight_decay=0.0001), paramwise_cfg=dict(custom_keys={f'backbone.stages.{s}.norm{n}': dict(decay_mult=0.0) for s, b in enumerate([2, 2, 6, 2]) for n in range(b)}), clip_grad=None)
