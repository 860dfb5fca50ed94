_scope = 'mmdet'
data_root = 'data/coco/'
scales = [(640, s) for s in range(480, 800, 32)][:-1]
pipe = [dict(type='A', scale=(1333, 800), p=0.5), dict(type=f'B{len(scales):02d}', backend_args=None)]
model = dict(type='X', neck=dict(_delete_=True, out=[256 // 2, 2 ** 3, 1e-4 / 8]), **{'k-v': -1})
hooks = {f's{i}': {'lr': 0.1 * i if i else None} for i in range(3)}
for n, hook in enumerate(hooks):
    if n > 1 and hook in hooks:
        model['neck'].update(n=n)
        continue
    elif not n:
        break
else:
    x = 'a-b'.split('-')[-1].upper() + '%03d' % 7 + '{:.2f}'.format(0.5)
del data_root
a, (b, c) = 1, (2, 3)
