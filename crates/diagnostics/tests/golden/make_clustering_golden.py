"""Makes clustering.json with scikit-learn and NumPy.

    python make_clustering_golden.py

The file beside this script was made with scikit-learn 1.9.1 and NumPy 2.4.6.
"""

import json
from pathlib import Path

import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from sklearn.metrics.cluster import contingency_matrix


def agreement(name, a, b):
    table = contingency_matrix(a, b)
    return {
        "name": name,
        "a": np.asarray(a).tolist(),
        "b": np.asarray(b).tolist(),
        "purity": float(table.max(axis=1).sum() / table.sum()),
        "adjusted_rand_index": float(adjusted_rand_score(a, b)),
        "normalised_mutual_information": float(
            normalized_mutual_info_score(a, b, average_method="arithmetic")
        ),
    }


def partitions():
    random = np.random.default_rng(11)
    labels = random.integers(0, 10, 200)
    mixed = np.where(random.random(200) < 0.7, labels // 2, random.integers(0, 7, 200))
    return [
        agreement("related", mixed, labels),
        agreement("independent", random.integers(0, 6, 150), random.integers(0, 10, 150)),
        agreement("finer", labels * 3 + random.integers(0, 3, 200), labels),
        agreement("one large group", (random.random(120) < 0.05).astype(int), random.integers(0, 10, 120)),
        agreement("the same but for names", (labels + 4) % 10, labels),
        agreement("one group against many", np.zeros(30, int), random.integers(0, 4, 30)),
        agreement("one group against itself", np.zeros(30, int), np.ones(30, int)),
        agreement("groups of one", np.arange(30), np.arange(30)[::-1]),
        agreement("groups of one against one", np.arange(30), np.zeros(30, int)),
    ]


def clusters(name, rows, groups):
    """The least inertia of 500 searches: for sets as small as these the optimum."""
    found = KMeans(groups, n_init=500, tol=0.0, random_state=0).fit(rows)
    return {
        "name": name,
        "dimension": rows.shape[1],
        "rows": rows.ravel().tolist(),
        "number": groups,
        "groups": found.labels_.tolist(),
        "inertia": float(found.inertia_),
    }


def k_means():
    random = np.random.default_rng(12)
    centres = random.uniform(-10, 10, (5, 4))
    blobs = centres[random.integers(0, 5, 100)] + random.normal(size=(100, 4))
    uniform = random.uniform(size=(60, 2))
    return [
        clusters("five blobs", np.round(blobs, 6), 5),
        clusters("a square without clusters", np.round(uniform, 6), 3),
    ]


content = {"partitions": partitions(), "k_means": k_means()}
path = Path(__file__).with_name("clustering.json")
path.write_text(json.dumps(content) + "\n")
