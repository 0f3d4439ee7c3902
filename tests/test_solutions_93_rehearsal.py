"""Tests of nbs/solutions/93_rehearsal.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

from brain_mri.exercises import verdict
from brain_mri.rehearsal import convolution_operations, hours


def test_exercise_1_solution():
    def my_convolution(k, channels, filters, side):
        return 2 * k * k * channels * filters * side**2


    assert verdict(my_convolution, convolution_operations, [(3, 1, 16, 112), (1, 64, 256, 56), (5, 3, 8, 16)]).solved


def test_exercise_2_solution():
    def my_speed(operations):
        return operations / 3600 / 1e12


    assert verdict(my_speed, lambda operations: hours(operations, 1), [(3.6e15,), (1e18,)]).solved
