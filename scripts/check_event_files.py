"""Reads event files with TensorBoard's own package and compares them with scalars.json, pictures and config.

    pip install tensorboard
    python scripts/check_event_files.py work_dirs/config/20260131_235959

`tests/suite/logs.rs` runs it too. Without TensorBoard it says so and ends well.
"""
import json
import pathlib
import sys


def main(folder):
    try:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    except ImportError:
        print('skipped: the package tensorboard is not installed')
        return 0
    vis_data = pathlib.Path(folder) / 'vis_data'
    events = EventAccumulator(str(vis_data), size_guidance=dict(scalars=0, images=0, tensors=0)).Reload()
    tags = events.Tags()
    expected = {}
    for line in (vis_data / 'scalars.json').read_text().splitlines():
        record = json.loads(line)
        step = record.pop('step')
        for name, value in record.items():
            expected.setdefault(name, []).append((step, value))
    assert sorted(tags['scalars']) == sorted(expected), (tags['scalars'], sorted(expected))
    count = 0
    for name, values in expected.items():
        found = [(event.step, event.value) for event in events.Scalars(name)]
        assert len(found) == len(values), name
        for (step, value), (found_step, found_value) in zip(values, found):
            # Event files hold floats of 32 bits.
            close = abs(value - found_value) <= 1e-6 * max(1.0, abs(value)) or value != value
            assert step == found_step and close, (name, step, value, found_step, found_value)
            count += 1
    pictures = 0
    for tag in tags['images']:
        for image in events.Images(tag):
            file = vis_data / 'vis_image' / f'{tag}_{image.step}.png'
            assert file.read_bytes() == image.encoded_image_string, file
            pictures += 1
    config = events.Tensors('config/text_summary')[0].tensor_proto.string_val[0].decode()
    assert config == (vis_data / 'config.py').read_text()
    print(f'equal: {count} values of {len(expected)} scalars, {pictures} pictures, the config')
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1]))
