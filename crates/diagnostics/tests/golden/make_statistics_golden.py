"""Makes chains.json, ljung_box.json and quality.json with ArviZ, statsmodels, SciPy and NumPy.

    python make_statistics_golden.py

The files beside this script were made with ArviZ 0.23.4, statsmodels 0.15.0, SciPy 1.17.1 and NumPy 2.4.6.
"""

import json
from pathlib import Path

import arviz
import numpy as np
import scipy.linalg
from statsmodels.stats.diagnostic import acorr_ljungbox
from statsmodels.tsa.stattools import pacf

FOLDER = Path(__file__).parent


def autoregression(random, coefficient, shape):
    chains = np.zeros(shape)
    for t in range(1, shape[1]):
        chains[:, t] = coefficient * chains[:, t - 1] + random.normal(size=shape[0])
    return chains


def statistics(name, chains):
    return {
        "name": name,
        "chains": np.round(chains, 6).tolist(),
        "split_rhat": float(arviz.rhat(np.round(chains, 6), method="rank")),
        "bulk_effective_size": float(arviz.ess(np.round(chains, 6), method="bulk")),
        "tail_effective_size": float(arviz.ess(np.round(chains, 6), method="tail")),
        "mean_standard_error": float(arviz.mcse(np.round(chains, 6), method="mean")),
    }


def chains():
    random = np.random.default_rng(3)
    apart = autoregression(random, 0.3, (3, 40)) + np.array([[0.0], [0.0], [4.0]])
    wider = random.normal(size=(4, 30)) * np.array([[1.0], [1.0], [1.0], [6.0]])
    return [
        statistics("independent", random.normal(size=(4, 50))),
        statistics("slow", autoregression(random, 0.9, (2, 101))),
        statistics("alternating", autoregression(random, -0.6, (3, 60))),
        statistics("apart", apart),
        statistics("of different spreads", wider),
        statistics("with ties", np.round(random.normal(size=(2, 25)))),
        statistics("heavy-tailed", random.standard_cauchy(size=(4, 40))),
        statistics("short", random.normal(size=(5, 4))),
        statistics("odd and short", random.normal(size=(3, 7))),
    ]


def ljung_box():
    random = np.random.default_rng(5)
    series = np.round(autoregression(random, -0.3, (1, 120))[0] + 0.7, 6)
    table = acorr_ljungbox(series, lags=[1, 5, 15])
    return {
        "series": series.tolist(),
        "lags": [1, 5, 15],
        "statistic": table["lb_stat"].tolist(),
        "p_value": table["lb_pvalue"].tolist(),
        "partial_autocorrelation": pacf(series, nlags=15, method="ldb").tolist(),
    }


def frechet(a, b):
    """Heusel et al. 2017, equation 6, with the matrix square root itself."""
    covariances = [np.atleast_2d(np.cov(x, rowvar=False)) for x in (a, b)]
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1])
    means = ((a.mean(0) - b.mean(0)) ** 2).sum()
    return float(means + np.trace(covariances[0] + covariances[1]) - 2 * np.trace(root).real)


def neighbour_quality(real, fake, k):
    """Precision and recall (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020)."""
    def distances(x, y):
        return np.sqrt(((x[:, None, :] - y[None, :, :]) ** 2).sum(-1))

    # Column 0 of a sorted row is the distance of a point to itself.
    real_radius = np.sort(distances(real, real), 1)[:, k]
    fake_radius = np.sort(distances(fake, fake), 1)[:, k]
    between = distances(real, fake)
    return {
        "precision": float((between < real_radius[:, None]).any(0).mean()),
        "recall": float((between < fake_radius[None, :]).any(1).mean()),
        "density": float((between < real_radius[:, None]).sum(0).mean() / k),
        "coverage": float((between.min(1) < real_radius).mean()),
    }


def quality():
    random = np.random.default_rng(9)
    mixing = random.normal(size=(6, 6))
    cases = []
    for name, real, fake in [
        ("alike", random.normal(size=(60, 6)), random.normal(size=(50, 6))),
        ("moved and mixed", random.normal(size=(60, 6)), random.normal(size=(45, 6)) @ mixing + 0.5),
        ("one feature", random.normal(size=(30, 1)), 2 * random.normal(size=(20, 1)) + 1),
        ("collapsed", random.normal(size=(40, 3)), 0.05 * random.normal(size=(40, 3)) + 0.3),
    ]:
        real, fake = np.round(real, 6), np.round(fake, 6)
        cases.append(
            {
                "name": name,
                "dimension": real.shape[1],
                "real": real.ravel().tolist(),
                "fake": fake.ravel().tolist(),
                "frechet": frechet(real, fake),
                "neighbours": 5,
                **neighbour_quality(real, fake, 5),
            }
        )
    return cases


for name, content in [("chains", chains()), ("ljung_box", ljung_box()), ("quality", quality())]:
    (FOLDER / f"{name}.json").write_text(json.dumps(content) + "\n")
