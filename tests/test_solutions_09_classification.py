"""Tests of nbs/solutions/09_classification.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import numpy as np

from brain_mri.classification import heat_gain, one_temperature
from brain_mri.exercises import verdict


def test_exercise_1_solution():
    def my_temperature(row, temperature):
        roots = np.array(row) ** (1 / temperature)
        return roots / roots.sum()


    assert verdict(
        my_temperature, one_temperature, [([0.7, 0.1, 0.1, 0.1], 2.0), ([0.4, 0.3, 0.2, 0.1], 0.5), ([0.25, 0.25, 0.25, 0.25], 3.0)]
    ).solved


def test_exercise_2_solution():
    def my_heat_gain(heat, mask):
        return heat[mask].sum() / heat.sum() / mask.mean()


    spot = np.zeros((6, 6))
    spot[1:3, 1:3] = 1
    assert verdict(my_heat_gain, heat_gain, [(np.ones((6, 6)), spot > 0), (spot, spot > 0), (spot + 1, spot > 0)]).solved
