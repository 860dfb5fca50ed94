# Faster R-CNN R50-FPN from scratch on BCCD, for the losses in docs/models.md. The same file trains in MMDetection, with
# Runner.from_cfg. init.pth holds start weights of MMDetection's: torch.save(dict(state_dict=model.state_dict(), meta={}), 'init.pth')
# after model.init_weights(). bccd/ has annotations/instances_{train,val}.json and JPEGImages/.
_base_ = 'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py'
data_root = 'bccd/'
metainfo = dict(classes=('Platelets', 'RBC', 'WBC'))
load_from = 'init.pth'
model = dict(
    backbone=dict(frozen_stages=-1, norm_cfg=dict(type='BN', requires_grad=True), norm_eval=False, init_cfg=None),
    roi_head=dict(bbox_head=dict(num_classes=3)))
scale = (400, 300)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs')]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'))]
train_dataloader = dict(batch_size=4, num_workers=1, dataset=dict(data_root=data_root, ann_file='annotations/instances_train.json', data_prefix=dict(img='JPEGImages/'), metainfo=metainfo, pipeline=train_pipeline))
val_dataloader = dict(num_workers=1, dataset=dict(data_root=data_root, ann_file='annotations/instances_val.json', data_prefix=dict(img='JPEGImages/'), metainfo=metainfo, pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'annotations/instances_val.json')
test_evaluator = val_evaluator
train_cfg = dict(max_epochs=5, val_interval=5)
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=0.0001), clip_grad=dict(max_norm=35, norm_type=2))
param_scheduler = [dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=100)]
default_hooks = dict(logger=dict(interval=10), checkpoint=dict(interval=5))
randomness = dict(seed=0)
