"""Tests of nbs/solutions/03_metrics.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import numpy as np

from brain_mri.exercises import verdict
from brain_mri.metrics import calibration_error, confusion_counts, dice, f1_score, fill_box, fill_ellipse


def test_exercise_1_solution():
    def my_dice(a, b):
        tp, fp, fn, tn = confusion_counts(a, b)
        return f1_score(tp, fp, fn)


    assert verdict(my_dice, dice, [(fill_box(b, (30, 30)), fill_ellipse(b, (30, 30))) for b in ([2, 3, 20, 15], [5, 5, 28, 28])]).solved


def test_exercise_2_solution():
    def my_calibration_error(confidence, correct, bins):
        total = 0
        for i in range(bins):
            inside = (confidence > i / bins) & (confidence <= (i + 1) / bins)
            if inside.any():
                total += inside.mean() * abs(confidence[inside].mean() - correct[inside].mean())
        return total


    assert verdict(
        my_calibration_error,
        calibration_error,
        [
            (np.array([0.95, 0.8, 0.8]), np.array([1, 0, 1]), 10),
            (np.linspace(0.02, 1, 50), np.arange(50) % 3 > 0, 15),
            (np.array([0.5, 0.75]), np.array([1, 0]), 2),
        ],
    ).solved
