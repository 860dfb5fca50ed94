"""Makes JPEG files of all samplings and kinds beside it, and expected.png: what OpenCV reads of each, below one another.

    pip install 'numpy<2' 'opencv-python-headless==4.11.*' 'pillow>=11'
    python make_jpegs.py
"""
import json
import os
import random
import struct

import cv2
import numpy as np
from PIL import Image

HERE = os.path.dirname(os.path.abspath(__file__))
NAMES = []


def path(name):
    NAMES.append(name)
    return os.path.join(HERE, name)


def picture(width, height):
    """Smooth colours with an edge and a little noise."""
    rng = np.random.default_rng(width * 100 + height)
    coarse = rng.integers(0, 256, (height // 10 + 2, width // 10 + 2, 3), dtype=np.uint8)
    image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(int)
    image[:, width // 3:width // 2] = 255 - image[:, width // 3:width // 2]
    return np.clip(image + rng.integers(-9, 10, image.shape), 0, 255).astype(np.uint8)


def by_opencv(sampling, width, height, quality=80, name="", **flags):
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, getattr(cv2, f"IMWRITE_JPEG_SAMPLING_FACTOR_{sampling}")]
    for flag, value in flags.items():
        options += [getattr(cv2, "IMWRITE_JPEG_" + flag.upper()), value]
    cv2.imwrite(path(f"{sampling}_{width}x{height}{name}.jpg"), picture(width, height), options)


def by_pillow(name, width, height, mode="RGB", **options):
    image = Image.fromarray(picture(width, height)[..., ::-1].copy()).convert(mode)
    image.save(path(f"{name}_{width}x{height}.jpg"), **options)


def segment(marker, body):
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


class Bits:
    def __init__(self):
        self.text = ""

    def code(self, codes, symbol, value):
        size = abs(value).bit_length()
        self.text += codes[symbol]
        self.text += format(value if value > 0 else value + (1 << size) - 1, f"0{size}b") if size else ""

    def bytes(self):
        text = self.text + "1" * (-len(self.text) % 8)
        return b"".join(bytes([b]) if b < 255 else b"\xff\0" for b in (int(text[i:i + 8], 2) for i in range(0, len(text), 8)))


def table(head, symbols, length):
    """A code with one bit for the first symbol and `length` for all others."""
    counts = [1] + [0] * 15
    counts[length - 1] = len(symbols) - 1
    codes = {s: format((1 << length - 1) + i - 1, f"0{length}b") for i, s in enumerate(symbols)}
    codes[symbols[0]] = "0"
    return codes, bytes([head, *counts, *symbols])


def by_hand(name, width, height, samplings, size=12, in_one=True, restart=0, ids=None, step_bits=8):
    """Random coefficients, for what no library writes."""
    rng = random.Random(name)
    count, most = len(samplings), [max(s[i] for s in samplings) for i in (0, 1)]
    ids = ids or range(1, count + 1)
    dc, dc_bytes = table(0x00, list(range(12)), 8)
    ac, ac_bytes = table(0x10, [0] + [run << 4 | s for run in range(16) for s in range(1, 11)] + [0xF0], 12)
    steps = [rng.randint(1, 12) for _ in range(64)]
    file = b"\xff\xd8" + segment(0xDB, bytes([0, *steps]) if step_bits == 8 else b"\x10" + struct.pack(">64H", *steps))
    frame = b"".join(bytes([i, h << 4 | v, 0]) for i, (h, v) in zip(ids, samplings))
    file += segment(0xC1, struct.pack(">BHHB", 8, height, width, count) + frame)
    file += segment(0xC4, dc_bytes) + segment(0xC4, ac_bytes) + (segment(0xDD, struct.pack(">H", restart)) if restart else b"")
    for scan in [range(count)] if in_one else [[i] for i in range(count)]:
        file += segment(0xDA, bytes([len(scan)]) + b"".join(bytes([ids[i], 0]) for i in scan) + b"\0\x3f\0")
        if len(scan) == 1:
            (h, v), unit = samplings[scan[0]], list(scan)
            units = -(-width * h // (8 * most[0])) * -(-height * v // (8 * most[1]))
        else:
            unit = [i for i in scan for _ in range(samplings[i][0] * samplings[i][1])]
            units = -(-width // (8 * most[0])) * -(-height // (8 * most[1]))
        bits, before = Bits(), [0] * count
        for place in range(units):
            if restart and place and place % restart == 0:
                file += bits.bytes() + bytes([0xFF, 0xD0 + (place // restart - 1) % 8])
                bits, before = Bits(), [0] * count
            for i in unit:
                value = rng.randint(-40, 40)
                bits.code(dc, abs(value - before[i]).bit_length(), value - before[i])
                before[i], at = value, 0
                while (run := rng.choice([0, 1, 2, 15, 30])) + at < rng.choice([0, 8, 63]):
                    value = rng.choice([-1, 1]) * rng.randint(1, size)
                    at += run + 1
                    if run > 15:
                        bits.code(ac, 0xF0, 0)
                    bits.code(ac, run % 16 << 4 | abs(value).bit_length(), value)
                if at < 63:
                    bits.code(ac, 0, 0)
        file += bits.bytes()
    with open(path(f"{name}_{width}x{height}.jpg"), "wb") as out:
        out.write(file + b"\xff\xd9")


by_opencv("420", 35, 50)
by_opencv("420", 3, 50)
by_opencv("420", 6, 1, quality=30)
by_opencv("420", 33, 17, name="_progressive", progressive=1)
by_opencv("420", 40, 33, name="_restarts", rst_interval=3, optimize=1)
by_opencv("420", 33, 34, name="_coarse", quality=3)
by_opencv("422", 35, 19)
by_opencv("422", 4, 9)
by_opencv("422", 31, 16, name="_progressive", progressive=1, rst_interval=2)
by_opencv("440", 19, 35)
by_opencv("440", 1, 20)
by_opencv("411", 35, 12)
by_opencv("411", 21, 9, name="_progressive", progressive=1)
by_opencv("444", 1, 1)
by_opencv("444", 18, 25, quality=97)
by_opencv("444", 16, 16, name="_progressive", progressive=1)
by_pillow("grey", 17, 9, "L", quality=85)
by_pillow("grey_progressive", 26, 15, "L", quality=85, progressive=True)
by_pillow("rgb", 20, 11, quality=90, keep_rgb=True)
by_pillow("cmyk", 13, 9, "CMYK", quality=90)
by_hand("odd_samplings", 29, 21, [(2, 2), (1, 2), (2, 1)])
by_hand("three_by_one", 30, 13, [(3, 1), (1, 1), (1, 1)])
by_hand("four_by_two", 41, 20, [(4, 2), (1, 1), (1, 1)], in_one=False)
by_hand("part_scans", 27, 23, [(2, 2), (1, 1), (1, 1)], in_one=False, restart=2)
by_hand("rgb_by_name", 15, 9, [(1, 1), (1, 1), (1, 1)], ids=b"RGB")
by_hand("out_of_range", 16, 16, [(1, 1)], size=1000, step_bits=16)

shown, grounds = [], []
for name in NAMES:
    image = cv2.imread(os.path.join(HERE, name), cv2.IMREAD_COLOR)
    shown.append({"name": name, "width": image.shape[1], "height": image.shape[0]})
    ground = np.zeros((image.shape[0], 48, 3), np.uint8)
    ground[:, :image.shape[1]] = image
    grounds.append(ground)
cv2.imwrite(os.path.join(HERE, "expected.png"), np.vstack(grounds), [cv2.IMWRITE_PNG_COMPRESSION, 9])
with open(os.path.join(HERE, "expected.json"), "w") as file:
    json.dump(shown, file, indent=0)
    file.write("\n")
