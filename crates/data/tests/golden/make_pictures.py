"""Makes small images of many kinds with Pillow, and pictures.json, which holds their pixels as Pillow reads them.

    python make_pictures.py

The files beside this script were made with Pillow 13.0.0 (libjpeg-turbo 3.2.0) and NumPy.

Pixels are those of `ImageOps.exif_transpose`, laid over black where there is transparency, in RGB. Pillow keeps only the
upper byte of 16 bits.
"""

import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

FOLDER = Path(__file__).parent / "pictures"
WIDTH, HEIGHT = 20, 12
ORIENTATION = 0x0112

across, down = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
# Smooth and without any symmetry.
RED = 20 + 11 * across
GREEN = 230 - 9 * across - 4 * down
BLUE = 10 + 20 * down
COLOUR = np.stack([RED, GREEN, BLUE], axis=2).astype(np.uint8)
GREY = (15 + 7 * across + 9 * down).astype(np.uint8)
ALPHA = np.clip(12 * across + 9 * down - 40, 0, 255).astype(np.uint8)


def fine(values):
    """16 bits with a lower byte that matters."""
    low = (37 * across + 101 * down) % 256
    low = low if values.ndim == 2 else low[:, :, None]
    return values.astype(np.uint16) * 256 + low.astype(np.uint16)


def exif(orientation):
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    return tags


def save(name, image, **options):
    image.save(FOLDER / name, **options)


def save_png(name, kind, samples, *chunks):
    """A PNG of 16 bits a channel, which Pillow cannot write; `kind` is the colour type."""

    def chunk(tag, data):
        return struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))

    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, kind, 0, 0, 0)
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in samples)
    parts = [chunk(b"IHDR", header), *chunks, chunk(b"IDAT", zlib.compress(lines, 9)), chunk(b"IEND", b"")]
    (FOLDER / name).write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


def save_ycck(name, inks):
    """Pillow writes CMYK only. Its four planes here hold YCbCr of the inks, and the Adobe marker says so."""
    # Adobe stores 255 − ink, and Pillow inverts when it writes.
    inverted_black = 255 - inks[:, :, 3]
    brightness = Image.fromarray(inks[:, :, :3]).convert("YCbCr")
    planes = np.dstack([np.asarray(brightness), inverted_black])
    stream = io.BytesIO()
    Image.fromarray(255 - planes, "CMYK").save(stream, "JPEG", quality=95)
    data = stream.getvalue()
    at = data.index(b"Adobe") + 11
    assert data[at] == 0
    (FOLDER / name).write_bytes(data[:at] + b"\x02" + data[at + 1 :])


def make():
    colour, grey = Image.fromarray(COLOUR), Image.fromarray(GREY)
    with_alpha = Image.fromarray(np.dstack([COLOUR, ALPHA]), "RGBA")
    grey_with_alpha = Image.fromarray(np.dstack([GREY, ALPHA]), "LA")
    inks = np.dstack([COLOUR, GREY])
    cmyk = Image.fromarray(inks, "CMYK")
    palette = colour.quantize(16)

    for orientation in range(1, 9):
        save(f"orientation-{orientation}.jpg", colour, quality=95, subsampling=0, exif=exif(orientation))
    save("orientation-9.jpg", colour, quality=95, subsampling=0, exif=exif(9))
    save("orientation-6.png", colour, exif=exif(6))
    save("orientation-5.webp", colour, exif=exif(5), lossless=True)
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="7"/></x:xmpmeta>'
    save("orientation-7-xmp.jpg", colour, quality=95, subsampling=0, xmp=xmp)
    save("orientation-1-xmp.jpg", colour, quality=95, subsampling=0, xmp=xmp, exif=exif(1))

    save("halved-chroma.jpg", colour, quality=95, subsampling=2)
    save("progressive.jpg", colour, quality=95, subsampling=0, progressive=True)
    save("grey.jpg", grey, quality=95)
    save("cmyk.jpg", cmyk, quality=95)
    save_ycck("ycck.jpg", inks)

    save("colour.png", colour)
    save("grey.png", grey)
    save("two-colours.png", grey.convert("1"))
    save("palette.png", palette)
    save("alpha.png", with_alpha)
    save("grey-alpha.png", grey_with_alpha)
    save("palette-alpha.png", palette, transparency=bytes(range(0, 256, 17)))
    save("transparent-grey.png", grey, transparency=int(GREY[3, 4]))
    save("transparent-colour.png", colour, transparency=tuple(int(value) for value in COLOUR[3, 4]))
    save_png("grey-16.png", 0, fine(GREY))
    save_png("colour-16.png", 2, fine(COLOUR))
    save_png("grey-alpha-16.png", 4, np.dstack([fine(GREY), fine(ALPHA)]))
    save_png("alpha-16.png", 6, np.dstack([fine(COLOUR), fine(ALPHA)]))

    save("palette.gif", palette)
    save("transparent.gif", palette, transparency=3)
    save("animation.gif", palette, save_all=True, append_images=[palette.transpose(Image.Transpose.ROTATE_180)])
    save("lossy.webp", colour, quality=95)
    save("alpha.webp", with_alpha, lossless=True, exact=True)
    save("colour.bmp", colour)
    save("palette.bmp", palette)
    save("colour.ppm", colour)
    save("grey.pgm", grey)
    save("two-colours.pbm", grey.convert("1"))
    save("alpha.qoi", with_alpha)


def pixels(path):
    with Image.open(path) as image:
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "black"), image)
    return np.asarray(image.convert("RGB"))


FOLDER.mkdir(exist_ok=True)
for old in FOLDER.iterdir():
    old.unlink()
make()
golden = {}
for path in sorted(FOLDER.iterdir()):
    found = pixels(path)
    height, width, _ = found.shape
    golden[path.name] = {"width": width, "height": height, "rgb": found.tobytes().hex()}
text = ",\n".join(f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in golden.items())
FOLDER.with_name("pictures.json").write_text("{\n" + text + "\n}\n")
