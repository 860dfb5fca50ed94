"""Makes pictures of unusual kinds beside it, and expected.png: what OpenCV reads of each, below one another.

    pip install 'numpy<2' 'opencv-python-headless==4.11.*' pillow
    python make_pictures.py
"""
import json
import os
import struct

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

# A width that is no multiple of four: rows of a BMP are filled up.
bgr = np.ascontiguousarray(rgb[:, :31, ::-1])
odd = Image.fromarray(bgr[..., ::-1])
odd_grey = np.asarray(odd.convert("L"))
odd_rgba = odd.convert("RGBA")
odd_rgba.putalpha(Image.fromarray(odd_grey))
few = odd.quantize(16)
places = np.asarray(few)
colours = few.getpalette()[:48]
palette = b"".join(bytes([*colours[3 * i:3 * i + 3][::-1], 0]) for i in range(16))


def bmp(name, bits, compression, data, height, colours=b"", masks=b""):
    start = 14 + 40 + len(masks) + len(colours)
    header = struct.pack("<IiiHHIIiiII", 40, 31, height, 1, bits, compression, len(data), 0, 0, len(colours) // 4, 0)
    with open(path(name), "wb") as file:
        file.write(b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + header + masks + colours + data)


def filled(rows):
    return b"".join(row + bytes(-len(row) % 4) for row in rows)


def runs(row):
    """Each place once, the first eight as they are, then a step to the next row."""
    single = b"".join(bytes([1, place]) for place in row[8:])
    return bytes([0, 8]) + bytes(row[:8]) + single + b"\0\0"


blue, green, red = (bgr[..., c].astype(int) for c in range(3))
odd.save(path("plain.bmp"))
few.save(path("palette.bmp"))
odd.convert("1").save(path("one_bit.bmp"))
cv2.imwrite(path("transparent.bmp"), np.dstack([bgr, odd_grey]))
bmp("from_above.bmp", 24, 0, filled(row.tobytes() for row in bgr), -24)
bmp("five_six_five.bmp", 16, 3, filled(
    row.astype("<u2").tobytes() for row in (red >> 3 << 11 | green >> 2 << 5 | blue >> 3)[::-1]), 24,
    masks=struct.pack("<III", 0xF800, 0x7E0, 0x1F))
bmp("runs.bmp", 8, 1, b"\0\2\3\1" + b"".join(runs(row[3 * (i == 0):]) for i, row in enumerate(places[:20])) + b"\0\1", 24, palette)
nibbles = places[::-1, :30:2] << 4 | places[::-1, 1::2]
bmp("runs_of_four_bits.bmp", 4, 2, b"".join(
    b"".join(bytes([2, pair]) for pair in row) + b"\0\0" for row in nibbles) + b"\0\1", 24, palette)

odd.save(path("lossless.webp"), lossless=True)
odd_rgba.save(path("lossless_transparent.webp"), lossless=True)
odd.save(path("lossy.webp"), quality=80)
odd_rgba.save(path("lossy_transparent.webp"), quality=60)
odd.save(path("turned.webp"), lossless=True, exif=exif)

for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"):
    odd.save(path(f"{compression}.tif"), compression=compression)
odd.convert("1").save(path("fax.tif"), compression="group4")
odd_rgba.save(path("transparent.tif"), compression="tiff_lzw")
Image.merge("LA", (Image.fromarray(odd_grey),) * 2).save(path("grey_transparent.tif"), compression="tiff_lzw")
odd.convert("CMYK").save(path("cmyk.tif"), compression="tiff_lzw")
Image.fromarray(odd_grey.astype(np.uint16) * 200 + 77).save(path("grey_sixteen_bits.tif"), compression="tiff_lzw")
cv2.imwrite(path("sixteen_bits.tif"), bgr.astype(np.uint16) * 257 - 100)
odd.save(path("mirrored.tif"), compression="tiff_lzw", tiffinfo={274: 2})
planes = [bgr[..., c].astype(">u2") * 201 for c in (2, 1, 0)]
# Big-endian, 16 bits, one plane for each colour.
tags = [(256, 3, 31), (257, 3, 24), (258, 3, 16), (259, 3, 1), (262, 3, 2), (277, 3, 3), (278, 3, 24), (284, 3, 2)]
data = b"".join(plane.astype(">u2").tobytes() for plane in planes)
length, directory = len(data) // 3, 8 + len(data)
tables = directory + 2 + 12 * 10 + 4
entries = [struct.pack(">HHIHH", tag, kind, 1, value, 0) for tag, kind, value in tags]
entries[2] = struct.pack(">HHII", 258, 3, 3, tables + 24)
entries.insert(5, struct.pack(">HHII", 273, 4, 3, tables))
entries.insert(8, struct.pack(">HHII", 279, 4, 3, tables + 12))
with open(path("planes.tif"), "wb") as file:
    file.write(b"MM\0*" + struct.pack(">I", directory) + data + struct.pack(">H", 10) + b"".join(entries) + bytes(4)
               + struct.pack(">6I3H", *(8 + i * length for i in range(3)), *[length] * 3, 16, 16, 16))

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
