"""Tests of nbs/solutions/33_vgg16.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

from brain_mri.exercises import verdict
from brain_mri.vgg16 import glorot_power, receptive_field


def test_exercise_1_solution():
    def my_receptive_field(windows):
        field, step = 1, 1
        for kernel, stride in windows:
            field += (kernel - 1) * step
            step *= stride
        return field


    assert verdict(
        my_receptive_field, receptive_field, [([(3, 1), (3, 1)],), ([(3, 1), (2, 2), (3, 1)],), ([(7, 2), (3, 2), (3, 1), (1, 1)],)]
    ).solved


def test_exercise_2_solution():
    def my_glorot_power(channels):
        left = 1.0
        for ins, outs in zip(channels, channels[1:]):
            left *= ins / (ins + outs)
        return left


    assert verdict(my_glorot_power, glorot_power, [([64, 64],), ([64, 128, 128, 256],), ([3, 64, 64],)]).solved
