"""Tests of nbs/solutions/30_inceptionv3.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

from brain_mri.exercises import verdict
from brain_mri.inceptionv3 import strips_cost, useful_share


def test_exercise_1_solution():
    def my_strips_cost(channels_in, between, channels, n, size):
        first = n * channels_in * between
        second = n * between * channels
        return (first + second) * size**2


    assert verdict(my_strips_cost, strips_cost, [(128, 128, 192, 7, 12), (64, 16, 64, 3, 25), (8, 8, 8, 1, 1)]).solved


def test_exercise_2_solution():
    def my_useful_share(height, width, size):
        reached = [sum(abs(i - side // 2) < size for i in range(side)) for side in (height, width)]
        return reached[0] * reached[1] / (height * width)


    assert verdict(my_useful_share, useful_share, [(3, 3, 1), (7, 1, 3), (1, 7, 4), (5, 5, 2)]).solved
