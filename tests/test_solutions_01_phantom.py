"""Tests of nbs/solutions/01_phantom.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import math

from brain_mri.exercises import verdict
from brain_mri.phantom import filled_box_dice, rician_magnitude


def test_exercise_1_solution():
    def my_magnitude(signal, a, b):
        """Magnitude of the complex number (signal + a) + b i."""
        return math.sqrt((signal + a) ** 2 + b**2)


    assert verdict(my_magnitude, rician_magnitude, [(0.0, 0.3, 0.4), (1.0, 0.0, 0.0), (1.0, 0.3, 0.4), (0.5, -0.3, -0.4)]).solved


def test_exercise_2_solution():
    def my_filled_box_dice(fill):
        """Dice of a filled box with a lesion that covers the share `fill` of it."""
        return 2 * fill / (1 + fill)


    assert verdict(my_filled_box_dice, filled_box_dice, [(1.0,), (0.7,), (0.785,), (0.0,)]).solved
