"""Tests of nbs/30_inceptionv3.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from brain_mri.inceptionv3 import (
    inceptionv3, layer_fields, module_branches, strips_cost, useful_share, view_cost, view_layers,
)
from brain_mri.keras_training import predict_probabilities


def test_both_scales_build_and_odd_crops_have_probabilities():
    with pytest.raises(ValueError, match="weights out of scratch, pretrained.*got 'imagenet'"):
        inceptionv3(75, weights="imagenet")
    black_ = np.zeros((1, 75, 75), np.uint8)  # a batch of one, and nothing in it
    for scale_ in ("paper", "native"):
        assert np.allclose(predict_probabilities(inceptionv3(75, scale_), black_).sum(1), 1)


def test_branches_are_found_in_any_graph():
    image_ = keras.Input((9, 9, 4))
    start_ = keras.layers.Conv2D(6, 1)(image_)
    shared_ = keras.layers.Conv2D(5, 1, use_bias=False)(start_)
    forks_ = [keras.layers.Conv2D(2, kernel, padding="same", use_bias=False)(shared_) for kernel in ((1, 3), (3, 1))]
    pooled_ = keras.layers.MaxPooling2D(3, strides=1, padding="same")(start_)
    both_ = keras.layers.Concatenate(name="meet")([keras.layers.Concatenate()(forks_), pooled_])
    table_ = module_branches(keras.Model(image_, both_), "meet")
    assert table_.branch.tolist() == [0, 0, 1, 1, 2] and table_.channels_in.tolist() == [6, 5, 6, 5, 6]
    assert table_.layer[0] == table_.layer[2] and table_.weights.tolist() == [30, 30, 30, 30, 0] and table_.multiply_adds[1] == 30 * 81


def test_view_cost_agrees_with_keras():
    for how_ in ("square", "stack", "strips"):
        view_ = view_layers(6, 7, how_)
        view_.build((None, 5, 5, 6))
        assert view_cost(6, 7, 5, how_) == view_.count_params() * 25


def test_only_pixels_of_the_receptive_field_count():
    image_ = keras.Input((25, 25, 1))
    halved_ = keras.layers.AveragePooling2D(3, strides=2)(keras.layers.Conv2D(2, 3, strides=2)(image_))
    small_ = keras.Model(image_, keras.layers.Conv2D(1, (1, 3), padding="same", name="last")(halved_))
    pixels_ = tf.random.normal((1, 25, 25, 1))
    with tf.GradientTape() as tape_:
        tape_.watch(pixels_)
        centre_ = small_(pixels_)[0, 2, 2, 0]
    down_, across_ = np.nonzero(np.asarray(tape_.gradient(centre_, pixels_))[0, ..., 0])
    field_ = layer_fields(small_).loc["last"]
    assert (np.ptp(down_) + 1, np.ptp(across_) + 1) == (field_.height, field_.width) == (7, 15)
    assert down_.mean() == across_.mean() == field_.start + 2 * field_.jump


def test_useless_weights_get_no_gradient():
    for kernel_, size_ in (((7, 1), 3), ((3, 3), 1), ((5, 3), 2), ((3, 3), 9)):
        look_, ones_ = keras.layers.Conv2D(1, kernel_, padding="same", use_bias=False), np.ones((1, size_, size_, 1), np.float32)
        look_.build(ones_.shape)
        with tf.GradientTape() as tape_:
            total_ = tf.reduce_sum(look_(ones_))
        assert np.isclose(np.mean(np.asarray(tape_.gradient(total_, look_.kernel.value)) != 0), useful_share(*kernel_, size_))


def test_strips_cost_agrees_with_keras():
    strips_ = keras.Sequential([keras.layers.Conv2D(4, (1, 7), use_bias=False, padding="same"), keras.layers.Conv2D(5, (7, 1), use_bias=False)])
    strips_.build((None, 12, 12, 3))
    assert strips_cost(3, 4, 5, 7, 12) == strips_.count_params() * 144 and strips_cost(6, 6, 6, 7, 5) == view_cost(6, 7, 5, "strips")
