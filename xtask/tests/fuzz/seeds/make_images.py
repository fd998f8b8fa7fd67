#!/usr/bin/env python3
"""Writes the images in this folder, one of each kind that PNG and JPEG have and the crate `image` cannot write.

Usage: python make_images.py   (needs Pillow)
"""
import pathlib

from PIL import Image

FOLDER = pathlib.Path(__file__).parent


def main():
    colours = Image.new("RGB", (12, 9))
    colours.putdata([(x * 20, y * 25, x * y * 2) for y in range(9) for x in range(12)])
    grey = colours.convert("L")
    colours.convert("P", palette=Image.Palette.ADAPTIVE, colors=16).save(FOLDER / "palette.png", transparency=3)
    grey.convert("1").save(FOLDER / "one-bit.png")
    grey.convert("LA").save(FOLDER / "grey-and-alpha.png")
    colours.convert("RGBA").save(FOLDER / "rgba.png")
    Image.new("I;16", (7, 5), 40_000).save(FOLDER / "sixteen-bits.png")
    colours.save(FOLDER / "progressive.jpg", progressive=True, quality=60)
    colours.save(FOLDER / "restarts.jpg", restart_marker_blocks=1, subsampling=2)
    colours.convert("CMYK").save(FOLDER / "cmyk.jpg", quality=40)
    exif = Image.Exif()
    exif[0x0112] = 6
    grey.save(FOLDER / "turned.jpg", exif=exif, comment=b"turned", quality=50)


if __name__ == "__main__":
    main()
