"""Tests of nbs/33_vgg16.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from brain_mri.keras_training import base_of, predict_probabilities
from brain_mri.vgg16 import (
    INITIALIZERS, ORIGINAL_TOP, convolutions, glorot_power, receptive_field, signal_strength, vgg16,
)


def test_both_scales_build_and_odd_crops_have_probabilities():
    with pytest.raises(ValueError, match="weights out of scratch, pretrained.*got 'imagenet'"):
        vgg16(32, weights="imagenet")
    with pytest.raises(ValueError, match="initializer out of he, glorot, got 'zeros'"):
        vgg16(32, initializer="zeros")
    black_ = np.zeros((1, 32, 32), np.uint8)  # a batch of one, and nothing in it
    for scale_ in ("paper", "native"):
        assert np.allclose(predict_probabilities(vgg16(32, scale_), black_).sum(1), 1)


def test_he_start_hangs_on_the_seed_alone():
    starts_ = []
    for seed_ in (1, 1, 2):
        keras.utils.set_random_seed(seed_)
        starts_.append([layer.kernel.numpy() for layer in convolutions(vgg16(32))[:6]])
    one_, same_, other_ = starts_
    assert all((a == b).all() for a, b in zip(one_, same_)) and all((a != b).any() for a, b in zip(one_, other_))
    assert all(np.isclose(k.std(), np.sqrt(2 / np.prod(k.shape[:3])), rtol=0.1) for k in one_)


def test_receptive_field_is_what_the_gradient_reaches():
    image_ = x_ = keras.Input((24, 24, 1))
    for kernel_, stride_ in (windows_ := [(3, 1), (3, 1), (2, 2), (3, 1)]):
        same_ = keras.layers.Conv2D(1, kernel_, padding="same", kernel_initializer="ones")
        x_ = (same_ if stride_ == 1 else keras.layers.AveragePooling2D(2))(x_)
    pixels_ = tf.ones((1, 24, 24, 1))
    with tf.GradientTape() as tape_:
        tape_.watch(pixels_)
        middle_ = keras.Model(image_, x_)(pixels_)[0, 6, 6, 0]
    reached_ = np.asarray(tape_.gradient(middle_, pixels_))[0, :, :, 0] > 0
    assert receptive_field(windows_) == 10 == reached_.any(0).sum() == reached_.any(1).sum() and receptive_field([]) == 1


def test_counts_are_those_that_keras_publishes():
    dense_ = sum((ins + 1) * outs for ins, outs in ORIGINAL_TOP.values())
    assert base_of(vgg16(32)).count_params() + dense_ == 138_357_544


def test_he_keeps_the_signal_and_glorot_loses_it():
    noise_, ends_ = np.random.default_rng(0).integers(0, 255, (4, 32, 32), np.uint8), {}
    for start_ in INITIALIZERS:
        keras.utils.set_random_seed(0)
        table_ = signal_strength(vgg16(32, initializer=start_), noise_, np.arange(4))
        assert len(table_) == 13 and np.isfinite(table_[["signal", "gradient"]]).all(axis=None)
        ends_[start_] = table_.signal.iloc[-1] / table_.signal.iloc[0]
    assert ends_["glorot"] < 0.02 < 0.2 < ends_["he"] < 5
    assert np.isclose(glorot_power([64, 64, 64]), 0.25) and np.isclose(glorot_power([64, 192]), 0.25) and glorot_power([3]) == 1
