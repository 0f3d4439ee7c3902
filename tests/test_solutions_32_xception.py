"""Tests of nbs/solutions/32_xception.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import numpy as np

from brain_mri.exercises import verdict
from brain_mri.xception import depthwise, separable_saving


def test_exercise_1_solution():
    def my_depthwise(grid, kernels):
        height, width, _ = grid.shape
        k = len(kernels)
        padded = np.pad(grid, ((k // 2, k // 2), (k // 2, k // 2), (0, 0)))
        out = np.zeros_like(grid)
        for i in range(k):
            for j in range(k):
                out += kernels[i, j] * padded[i : i + height, j : j + width]
        return out


    draw = np.random.default_rng(0).normal
    assert verdict(my_depthwise, depthwise, [(draw(size=(6, 7, 2)), draw(size=(3, 3, 2))), (draw(size=(5, 5, 1)), draw(size=(5, 5, 1)))]).solved


def test_exercise_2_solution():
    def my_separable_saving(channels_in, channels, kernel):
        ordinary = kernel**2 * channels_in * channels
        separable = kernel**2 * channels_in + channels_in * channels
        return ordinary / separable


    assert verdict(my_separable_saving, separable_saving, [(64, 128, 3), (728, 728, 3), (32, 1, 5)]).solved
