"""Makes pictures of unusual kinds beside it, and expected.png: what OpenCV reads of each, below one another.

    pip install 'numpy<2' 'opencv-python-headless==4.11.*' pillow
    python make_pictures.py
"""
import json
import os

import cv2
import numpy as np
from PIL import Image

HERE = os.path.dirname(os.path.abspath(__file__))
NAMES = []


def path(name):
    NAMES.append(name)
    return os.path.join(HERE, name)


def smooth(height=24, width=32):
    rng = np.random.default_rng(3)
    coarse = rng.integers(30, 226, (height // 8 + 2, width // 8 + 2, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


rgb = smooth()
picture = Image.fromarray(rgb)
grey = picture.convert("L")
exif = Image.Exif()
exif[0x0112] = 6

picture.save(path("plain.jpg"), quality=95, subsampling=0)
picture.save(path("halved_colours.jpg"), quality=95, subsampling=2)
picture.save(path("progressive.jpg"), quality=95, progressive=True)
picture.save(path("turned.jpg"), quality=95, exif=exif)
grey.save(path("grey.jpg"), quality=95)
picture.convert("CMYK").save(path("cmyk.jpg"), quality=95)
picture.save(path("red_green_blue.jpg"), quality=95, keep_rgb=True)
cv2.imwrite(path("sixteen_bits.png"), rgb[..., ::-1].astype(np.uint16) * 257 - 100)
cv2.imwrite(path("grey_sixteen_bits.png"), np.asarray(grey).astype(np.uint16) * 256 + 77)
grey.save(path("grey.png"))
grey.point(lambda v: 255 if v > 128 else 0).convert("1").save(path("one_bit.png"))
picture.quantize(16).save(path("palette.png"))
rgba = picture.convert("RGBA")
rgba.putalpha(grey)
rgba.save(path("transparent.png"))
Image.merge("LA", (grey, grey)).save(path("grey_transparent.png"))

shown, grounds = [], []
for name in NAMES:
    image = cv2.imread(os.path.join(HERE, name), cv2.IMREAD_COLOR)
    shown.append({"name": name, "width": image.shape[1], "height": image.shape[0]})
    ground = np.zeros((32, 32, 3), np.uint8)
    ground[:image.shape[0], :image.shape[1]] = image
    grounds.append(ground)
cv2.imwrite(os.path.join(HERE, "expected.png"), np.vstack(grounds), [cv2.IMWRITE_PNG_COMPRESSION, 9])
with open(os.path.join(HERE, "expected.json"), "w") as file:
    json.dump(shown, file, indent=0)
    file.write("\n")
