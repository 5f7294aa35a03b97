import numpy as np
import pytest
import torch

from inference.model.network import calibrated
from training.classifier.calibration import SPECIFICITY, calibrate_findings, fit
from training.data.film_list import BadFilmList


def synthetic(films=4000, slope=0.5, shift=-1.0):
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(films, 14)) * 3
    truth = generator.random((films, 14)) < 1 / (1 + np.exp(-(slope * logits + shift)))
    return logits, truth.astype(float)


def test_calibration_finds_the_slope_and_shift_that_made_the_labels():
    slopes, intercepts = fit(*synthetic())
    assert np.abs(slopes - 0.5).max() < 0.05
    assert np.abs(intercepts + 1.0).max() < 0.2


def test_calibrated_probabilities_keep_the_order_of_logits_and_match_the_frequency():
    logits, labels = synthetic()
    readings = tuple(calibrate_findings(logits, labels).values())
    probabilities = calibrated(torch.from_numpy(logits).float(), readings).sigmoid().numpy()
    order = np.argsort(logits, axis=0)
    assert (np.diff(np.take_along_axis(probabilities, order, axis=0), axis=0) >= 0).all()
    assert np.abs(probabilities.mean(axis=0) - labels.mean(axis=0)).max() < 0.01


def test_operating_points_spare_nine_of_ten_films_without_the_finding():
    logits, labels = synthetic()
    readings = tuple(calibrate_findings(logits, labels).values())
    probabilities = calibrated(torch.from_numpy(logits).float(), readings).sigmoid().numpy()
    thresholds = np.array([reading.threshold for reading in readings])
    for k in range(14):
        spared = (probabilities[labels[:, k] == 0, k] < thresholds[k]).mean()
        assert spared == pytest.approx(SPECIFICITY, abs=0.01)


@pytest.mark.parametrize("positives", [0, 1, 12])
def test_a_finding_with_few_positives_keeps_the_common_slope(positives):
    logits, labels = synthetic(films=200)
    labels[:, 13] = 0
    labels[np.argsort(logits[:, 13])[:positives], 13] = 1  # as wrong as can be
    reading = calibrate_findings(logits, labels)["Hernia"]
    assert 0 < reading.slope < 1
    assert np.isfinite(reading.intercept)
    assert 0 < reading.threshold < 1


def test_a_finding_on_every_film_has_no_operating_point():
    logits, labels = synthetic(films=50)
    labels[:, 3] = 1
    with pytest.raises(BadFilmList, match=r"every film .* Infiltration"):
        calibrate_findings(logits, labels)
