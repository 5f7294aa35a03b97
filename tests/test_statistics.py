import numpy as np
import pytest
import torch
from monai.metrics import compute_roc_auc

from training.statistics import auc, aucs, bootstrap_aucs


def test_auc_counts_pairs_in_the_right_order_and_half_of_ties():
    ones = np.ones(4)
    truth = np.array([False, False, True, True])
    assert auc(np.array([0.1, 0.2, 0.3, 0.4]), truth, ones) == 1.0
    assert auc(np.array([0.1, 0.3, 0.2, 0.4]), truth, ones) == 0.75
    assert auc(np.array([0.5, 0.5, 0.5, 0.5]), truth, ones) == 0.5
    assert np.isnan(auc(np.zeros(4), np.zeros(4, bool), ones))


def test_auc_agrees_with_monai_and_weights_are_repetitions():
    generator = np.random.default_rng(0)
    scores, truth = generator.random(200).round(1), generator.random(200) < 0.3
    weights = generator.integers(0, 3, 200)
    theirs = compute_roc_auc(torch.from_numpy(scores), torch.from_numpy(truth).int())
    assert auc(scores, truth, np.ones(200)) == pytest.approx(theirs)
    repeated = np.repeat(scores, weights), np.repeat(truth, weights)
    assert auc(scores, truth, weights.astype(float)) == pytest.approx(
        auc(*repeated, np.ones(weights.sum()))
    )


def test_intervals_are_wider_where_films_come_from_few_patients():
    generator = np.random.default_rng(0)
    patients = np.repeat(np.arange(40), 5)
    truth = np.repeat(generator.random((40, 14)) < 0.5, 5, axis=0)
    scores = np.repeat(generator.random((40, 14)), 5, axis=0) + truth * 0.3
    by_patient = bootstrap_aucs(scores, truth.astype(float), patients).std(axis=0)
    by_film = bootstrap_aucs(scores, truth.astype(float), np.arange(200)).std(axis=0)
    assert by_patient.mean() > 1.7 * by_film.mean()
    assert np.isfinite(aucs(scores, truth.astype(float))).all()
