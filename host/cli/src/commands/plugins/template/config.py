# One epoch of a tiny detector on the drawn pictures of data/, with the hook of this crate. From here on it is yours.
plugin_dirs = ['target/release']
custom_hooks = [dict(type='HOOK', limit=100.0, interval=1)]

img_scale = (64, 64)  # width, height
classes = ('circle', 'square', 'triangle')
model = dict(
    type='YOLOX',
    data_preprocessor=dict(type='DetDataPreprocessor', pad_size_divisor=32),
    backbone=dict(type='CSPDarknet', deepen_factor=0.33, widen_factor=0.125, out_indices=(2, 3, 4)),
    neck=dict(type='YOLOXPAFPN', in_channels=[32, 64, 128], out_channels=32, num_csp_blocks=1),
    bbox_head=dict(
        type='YOLOXHead', num_classes=len(classes), in_channels=32, feat_channels=32, stacked_convs=1,
        strides=(8, 16, 32)),
    train_cfg=dict(assigner=dict(type='SimOTAAssigner', center_radius=2.5)),
    test_cfg=dict(score_thr=0.01, nms=dict(type='nms', iou_threshold=0.65)))

load = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True)]
fit = [
    dict(type='Resize', scale=img_scale, keep_ratio=True),
    dict(type='Pad', pad_to_square=True, pad_val=dict(img=(114.0, 114.0, 114.0)))]
train_dataloader = dict(
    batch_size=2,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='CocoDataset', data_root='data/', ann_file='annotations/train.json', data_prefix=dict(img='train/'),
        metainfo=dict(classes=classes),
        pipeline=load + [dict(type='RandomFlip', prob=0.5)] + fit + [dict(type='PackDetInputs')]))
val_dataloader = dict(
    batch_size=2,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='CocoDataset', data_root='data/', ann_file='annotations/val.json', data_prefix=dict(img='val/'),
        metainfo=dict(classes=classes), test_mode=True,
        pipeline=load + fit + [
            dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'))]))
val_evaluator = dict(type='CocoMetric', ann_file='data/annotations/val.json', metric='bbox')

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1, val_interval=1)
val_cfg = dict(type='ValLoop')
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=0.001, weight_decay=0.05))
default_hooks = dict(logger=dict(type='LoggerHook', interval=1))
