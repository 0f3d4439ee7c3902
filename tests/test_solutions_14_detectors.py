"""Tests of nbs/solutions/14_detectors.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import numpy as np
import pandas as pd

from brain_mri.detector_comparison import f1_difference
from brain_mri.exercises import verdict
from brain_mri.metrics import detection_curve, f1_score, mean_average_precision


def test_exercise_1_solution():
    def my_average_precision(detections):
        curve = detection_curve(detections)
        best = [curve.precision[curve.recall >= r].max() for r in np.linspace(0, 1, 101)]
        return np.nan_to_num(best).mean()  # the maximum of nothing is not a number


    lesions_ = [[20, 30, 60, 70], [70, 10, 95, 35]]
    one_ = dict(path="a", boxes=[lesions_[0], [5, 75, 30, 95], lesions_[1]], scores=[0.9, 0.8, 0.7], true_boxes=lesions_)
    two_ = dict(path="b", boxes=[lesions_[1], [0, 0, 20, 20]], scores=[0.6, 0.95], true_boxes=lesions_)
    assert verdict(
        my_average_precision, lambda detections: mean_average_precision(detections)[0], [([one_],), ([two_],), ([one_, two_],)]
    ).solved


def test_exercise_2_solution():
    def my_f1_difference(first, second, n_boot, seed):
        first, second = (table[["tp", "fp", "fn"]].to_numpy() for table in (first, second))
        n, difference = len(first), lambda rows: f1_score(*first[rows].sum(0)) - f1_score(*second[rows].sum(0))
        draws = np.random.default_rng(seed).integers(n, size=(n_boot, n))
        low, high = np.percentile([difference(rows) for rows in draws], [2.5, 97.5])
        return difference(np.arange(n)), low, high


    tp_ = np.random.default_rng(1).integers(0, 2, (2, 40))
    tables_ = [pd.DataFrame({"path": range(40), "tp": hit, "fp": 1 - hit, "fn": 1 - hit}) for hit in tp_]
    assert verdict(my_f1_difference, f1_difference, [(*tables_, 300, 0), (tables_[0], tables_[0].assign(fp=0), 100, 1)]).solved
