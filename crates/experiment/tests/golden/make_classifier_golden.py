#!/usr/bin/env python3
"""Writes what PyTorch makes of the digit classifier's weights: features and probabilities of a few images.

Usage: python make_classifier_golden.py   (needs torch and numpy; writes classifier.json beside itself)

The images are embedded digits, and one of 32×32 pixels from the formula below, which is resampled to 28×28 on the way.
"""
import gzip
import json
import pathlib

import numpy as np
import torch
import torch.nn as nn

ROOT = pathlib.Path(__file__).resolve().parents[3]
DIGITS = [4, 2024, 9999]


def safetensors(path):
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__")
    tensors = {}
    for name, entry in header.items():
        assert entry["dtype"] == "F32"
        start, end = (8 + length + offset for offset in entry["data_offsets"])
        tensors[name] = torch.tensor(np.frombuffer(data[start:end], "<f4").reshape(entry["shape"]))
    return tensors


def digits():
    data = gzip.decompress((ROOT / "crates/data/assets/t10k-images-idx3-ubyte.gz").read_bytes())
    images = np.frombuffer(data, np.uint8, offset=16).reshape(-1, 1, 28, 28)[DIGITS]
    return torch.tensor(images.astype(np.float32) / 127.5 - 1.0)


def wave():
    index = np.arange(32 * 32, dtype=np.float64)
    image = (1.5 * np.sin(1.0 + index * 0.0123)).astype(np.float32).reshape(1, 1, 32, 32)
    clamped = torch.tensor(image).clamp(-1.0, 1.0)
    return nn.functional.interpolate(clamped, size=(28, 28), mode="bilinear", antialias=True)


net = nn.Sequential(
    nn.Conv2d(1, 16, 5, 2, 2), nn.ReLU(), nn.Conv2d(16, 32, 5, 2, 2), nn.ReLU(), nn.Conv2d(32, 32, 3, 2, 1), nn.ReLU(),
    nn.Flatten(), nn.Linear(512, 64), nn.ReLU(), nn.Linear(64, 10))
# The flattening is no layer of ours, so later ones have one number less.
weights = safetensors(ROOT / "crates/experiment/assets/digit-classifier.safetensors")
places = {"6": "7", "8": "9"}
state = {}
for name, tensor in weights.items():
    _, layer, kind = name.split(".")
    state[f"{places.get(layer, layer)}.{kind}"] = tensor
net.load_state_dict(state)
net.double()
with torch.no_grad():
    images = torch.cat([digits(), wave()]).double()
    features = net[:-1](images)
    probabilities = net[-1](features).softmax(1)


def rounded(tensor):
    return [float(f"{value:.7g}") for value in tensor.flatten().tolist()]


golden = {"digits": DIGITS, "features": rounded(features), "probabilities": rounded(probabilities)}
path = pathlib.Path(__file__).with_name("classifier.json")
path.write_text(json.dumps(golden) + "\n")
print(probabilities.max(1), features.norm(dim=1), (features > 0).sum(1))
