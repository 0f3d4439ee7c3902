"""Tests of nbs/32_xception.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import keras
import numpy as np
import pytest

from brain_mri.keras_training import layer_table, predict_probabilities
from brain_mri.xception import (
    branched_cost, branched_layers, depthwise, ordinary_cost, separable_cost, without_shortcuts, xception,
)


def test_both_scales_build_and_odd_crops_have_probabilities():
    with pytest.raises(ValueError, match="weights out of scratch, pretrained.*got 'imagenet'"):
        xception(71, weights="imagenet")
    black_ = np.zeros((1, 71, 71), np.uint8)  # a batch of one, and nothing in it
    for scale_ in ("paper", "native"):
        assert np.allclose(predict_probabilities(xception(71, scale_), black_).sum(1), 1)


def test_branched_cost_agrees_with_keras():
    for branches_ in (1, 4, 12):
        both_ = branched_layers(12, branches_, 3)
        both_.build((None, 5, 5, 12))
        assert branched_cost(12, branches_, 3, 5) == both_.count_params() * 25


def test_separable_is_depthwise_then_pointwise():
    grid_ = np.random.default_rng(0).normal(size=(2, 9, 9, 6)).astype(np.float32)
    separable_ = keras.layers.SeparableConv2D(4, 3, padding="same", use_bias=False)
    depthwise_, pointwise_ = keras.layers.DepthwiseConv2D(3, padding="same", use_bias=False), keras.layers.Conv2D(4, 1, use_bias=False)
    expected_ = np.asarray(separable_(grid_))
    pointwise_(depthwise_(grid_))  # a first call makes the kernels
    depthwise_.set_weights([separable_.depthwise_kernel])
    pointwise_.set_weights([separable_.pointwise_kernel])
    np.testing.assert_allclose(pointwise_(depthwise_(grid_)), expected_, atol=1e-5)


def test_costs_agree_with_keras():
    image_ = keras.Input((5, 5, 6))
    for kind_, expected_ in ((keras.layers.Conv2D, ordinary_cost(6, 4, 3, 5)), (keras.layers.SeparableConv2D, sum(separable_cost(6, 4, 3, 5)))):
        assert layer_table(keras.Model(image_, kind_(4, 3, padding="same")(image_))).multiply_adds.sum() == expected_


def test_only_shortcuts_are_cut():
    image_ = keras.Input((4, 4, 2))
    block_ = keras.layers.Conv2D(2, 3, padding="same", name="block")(image_)
    whole_ = keras.Model(image_, keras.layers.Add()([block_, image_]))
    pixels_ = np.random.default_rng(0).normal(size=(1, 4, 4, 2)).astype(np.float32)
    np.testing.assert_allclose(without_shortcuts(whole_)(pixels_) + pixels_, whole_(pixels_), atol=1e-6)


def test_depthwise_agrees_with_keras():
    rng_ = np.random.default_rng(0)
    grid_, kernels_ = rng_.normal(size=(7, 8, 3)).astype(np.float32), rng_.normal(size=(5, 5, 3)).astype(np.float32)
    expected_ = keras.ops.depthwise_conv(grid_[None], kernels_[..., None], padding="same")[0]
    np.testing.assert_allclose(depthwise(grid_, kernels_), expected_, atol=1e-4)
