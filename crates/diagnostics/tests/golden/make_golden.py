"""Makes correlation.json and kernel_density.json with NumPy and SciPy.

    python make_golden.py

The files beside this script were made with NumPy 2.4.6 and SciPy 1.17.1.
"""

import json
from pathlib import Path

import numpy as np
from scipy.stats import gaussian_kde

FOLDER = Path(__file__).parent
MAX_LAG = 6


def lagged(x, y, lags):
    """Mean of x_t y_(t+k) at each lag k, divisor n, with np.correlate."""
    n = len(x)
    # np.correlate(y, x, "full")[n - 1 + k] is the sum of y_(t+k) x_t.
    full = np.correlate(y, x, "full") / n
    return [float(full[n - 1 + k]) for k in lags]


def partial(correlations):
    """Last coefficient of the order-k Yule-Walker equations, solved directly."""
    values = [1.0]
    for order in range(1, len(correlations)):
        matrix = np.array(
            [[correlations[abs(i - j)] for j in range(order)] for i in range(order)]
        )
        values.append(float(np.linalg.solve(matrix, correlations[1 : order + 1])[-1]))
    return values


def correlation():
    random = np.random.default_rng(7)
    d = np.zeros(80)
    for t in range(1, 80):
        d[t] = -0.6 * d[t - 1] + random.normal()
    d += 0.2
    r = 0.8 + 0.05 * np.cumsum(random.normal(size=80)) + 0.01 * d
    d_scaled = d / np.sqrt(np.mean(d**2))
    r_scaled = (r - r.mean()) / r.std()
    lags = range(0, MAX_LAG + 1)
    autocorrelation_d = lagged(d_scaled, d_scaled, lags)
    autocorrelation_r = lagged(r_scaled, r_scaled, lags)
    return {
        "max_lag": MAX_LAG,
        "d": d.tolist(),
        "r": r.tolist(),
        "d_unit_mean_square": d_scaled.tolist(),
        "r_standardised": r_scaled.tolist(),
        "autocorrelation_d": autocorrelation_d,
        "autocorrelation_r": autocorrelation_r,
        "partial_autocorrelation_r": partial(autocorrelation_r),
        "cross_correlation_d_r": lagged(d_scaled, r_scaled, range(-MAX_LAG, MAX_LAG + 1)),
    }


def kernel_density():
    random = np.random.default_rng(11)
    samples = random.normal(size=(60, 2)) @ np.array([[0.7, 0.4], [0.0, 0.3]])
    samples[:30] += [0.8, -0.5]
    resolution, half_width, factor = 12, 2.0, 0.35
    side = 2 * half_width / resolution
    axis = -half_width + side * (np.arange(resolution) + 0.5)
    x, y = np.meshgrid(axis, axis)  # rows are y, columns are x
    density = gaussian_kde(samples.T, bw_method=factor)(np.vstack([x.ravel(), y.ravel()]))
    density /= density.sum() * side**2
    return {
        "samples": samples.tolist(),
        "bandwidth_factor": factor,
        "resolution": resolution,
        "half_width": half_width,
        "log_density": np.log(density).tolist(),
    }


for name, content in [("correlation", correlation()), ("kernel_density", kernel_density())]:
    (FOLDER / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")
