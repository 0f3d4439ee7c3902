"""Tests of nbs/solutions/36_classifiers.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

from math import comb

import numpy as np
from statsmodels.stats.multitest import multipletests

from brain_mri.classifier_comparison import mcnemar_p
from brain_mri.exercises import verdict


def test_exercise_1_solution():
    def my_mcnemar_p(only_first, only_second):
        n, least = only_first + only_second, min(only_first, only_second)
        tail = sum(comb(n, k) for k in range(least + 1)) / 2**n
        return min(1.0, 2 * tail)


    assert verdict(my_mcnemar_p, mcnemar_p, [(9, 2), (2, 9), (5, 5), (0, 7), (0, 0), (40, 61)]).solved


def test_exercise_2_solution():
    def my_holm(p):
        p = np.asarray(p, float)
        order = np.argsort(p)
        stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
        corrected = np.empty(len(p))
        corrected[order] = stepped.clip(max=1)
        return corrected


    holm = lambda p: multipletests(p, method="holm")[1]
    assert verdict(my_holm, holm, [([0.01, 0.04, 0.03],), ([0.5, 0.002],), ([0.02],), ([0.9, 0.8, 0.7, 0.001],), ([0.01, 0.01, 0.011],)]).solved
