#!/usr/bin/env python3
"""Writes the files in numpy/: one array in every type, order, version and archive that NumPy writes.

Usage: python make_numpy_files.py   (needs numpy)

A file NAME-as-OTHER.npy or .npz must be read as the float32 array in OTHER, which NumPy converted.
"""
import pathlib
import zipfile

import numpy as np
from numpy.lib import format as npy

FOLDER = pathlib.Path(__file__).with_name("numpy")
ARRAY = np.array([[0, 1, 2], [3, 4, 100]])


def save(name, array, version=None):
    with open(FOLDER / f"{name}.npy", "wb") as file:
        npy.write_array(file, array, version)


def save_as(name, array, other):
    """The array, and what NumPy makes of it in float32, in C order."""
    save(f"{name}-as-{other}", array)
    save(other, array.astype(np.float32, order="C"))


def main():
    FOLDER.mkdir(exist_ok=True)
    save("plain", ARRAY.astype(np.float32))
    for kind in ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"]:
        for order, word in [("<", "little"), (">", "big")]:
            if kind[1] != "1" or order == "<":
                save(f"{kind}-{word}-as-plain", ARRAY.astype(order + kind))
    save("fortran-as-plain", np.asfortranarray(ARRAY.astype(">f8")))
    save("version-2-as-plain", ARRAY, (2, 0))
    save("version-3-as-plain", ARRAY, (3, 0))

    save_as("bool", ARRAY % 2 == 0, "truths")
    cube = np.arange(24).reshape(2, 3, 4)
    save_as("fortran-cube", np.asfortranarray(cube), "cube")
    save_as("scalar", np.array(2.5), "number")
    save_as("empty", np.zeros((0, 3)), "nothing")
    save_as("doubles", np.array([np.pi, -1e-310, 1e-42, 3.4e38, 1 + 2.0 ** -24, 1 + 3 * 2.0 ** -24]), "rounded-doubles")
    limits = np.finfo(np.float16)
    halves = [0.0, -0.0, limits.smallest_subnormal, limits.smallest_normal, limits.max, limits.min, 1 / 3]
    save_as("halves", np.array(halves, dtype=np.float16), "exact-halves")
    for kind in ["i8", "u8", "i4", "u4", "i1", "u1"]:
        limits = np.iinfo(kind)
        save_as(f"{kind}-ends", np.array([limits.min, limits.max, limits.max - 1], dtype=kind), f"rounded-{kind}")

    np.savez(FOLDER / "stored-as-plain.npz", ARRAY)
    np.savez_compressed(FOLDER / "compressed-as-plain.npz", mine=np.asfortranarray(ARRAY.astype(">i2")))
    np.savez(FOLDER / "two.npz", a=ARRAY, b=ARRAY)
    zipfile.ZipFile(FOLDER / "none.npz", "w").close()
    save("complex", ARRAY.astype(complex))
    save("fields", np.array([(1.0, 2.0)], dtype=[("x", "<f4"), ("y", "<f4")]))


if __name__ == "__main__":
    main()
