"""Tests of nbs/solutions/34_efficientnetv2_b3.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

from brain_mri.efficientnetv2_b3 import fusing_factor, scaled_channels
from brain_mri.exercises import verdict


def test_exercise_1_solution():
    def my_fusing_factor(channels, expansion):
        wide = expansion * channels
        narrow = wide * channels  # the last 1 x 1 convolution
        plain = channels * wide + 9 * wide + narrow
        return (9 * channels * wide + narrow) / plain


    assert verdict(my_fusing_factor, fusing_factor, [(16, 4), (40, 4), (136, 6)]).solved


def test_exercise_2_solution():
    def my_scaled_channels(channels, factor):
        return max(8, int((channels * factor + 4) // 8) * 8)


    assert verdict(my_scaled_channels, scaled_channels, [(32, 1.2), (16, 1.2), (10, 1.2), (2, 1.0), (112, 1.2), (20, 1.0)]).solved
