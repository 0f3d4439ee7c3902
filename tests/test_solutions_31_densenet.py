"""Tests of nbs/solutions/31_densenet.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import numpy as np

from brain_mri.densenet import maps_read, source_weights
from brain_mri.exercises import verdict


def test_exercise_1_solution():
    def my_maps_read(blocks, growth, stem):
        maps, read = stem, []
        for layers in blocks:
            for _ in range(layers):
                read.append(maps)
                maps += growth
            read.append(maps)
            maps //= 2
        return read


    assert verdict(my_maps_read, maps_read, [((2, 1), 3, 4), ((6, 12, 24, 16), 32, 64), ((1,), 12, 16)]).solved


def test_exercise_2_solution():
    def my_source_weights(kernel, start, growth):
        rows = np.abs(kernel).mean(axis=1)
        return np.array([rows[:start].mean(), *rows[start:].reshape(-1, growth).mean(axis=1)])


    example = np.random.default_rng(0).normal(size=(10, 4))
    assert verdict(my_source_weights, source_weights, [(example, 4, 3), (example, 4, 2), (example, 10, 32)]).solved
