"""Tests of nbs/05_keras_training.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import tempfile
import warnings
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import keras
import numpy as np
import pandas as pd
import pytest

from brain_mri.classification import Split
from brain_mri.data import DataError
from brain_mri.keras_training import (
    CONVENTIONS, CropBatches, EpochSeeds, KeepState, MEAN, SPREAD, build_base, build_classifier, class_weight,
    epochs_since_best, fit, freeze_base, grad_cam, layer_table, load_classifier, predict_probabilities, save_model,
    train_classifier,
)
from brain_mri.preprocess import Augmentation


def test_every_crop_comes_once_an_epoch():
    cuts = np.arange(9, dtype=np.uint8)[:, None, None] + np.zeros((9, 8, 8), np.uint8)
    still = Augmentation(rotation=(0, 0), zoom=(1, 1), brightness=(1, 1), contrast=(1, 1), flip=0, crop=(1, 1))
    batches = CropBatches(cuts, np.arange(9), 4, still)
    first = np.concatenate([batches[i][1] for i in range(len(batches))])
    batches.on_epoch_end()
    second = np.concatenate([batches[i][1] for i in range(len(batches))])
    assert sorted(first) == sorted(second) == list(range(9)) and list(first) != list(second)
    assert (batches[2][0][:, 4, 4, 0] == batches[2][1]).all() and len(batches[2][1]) == 1


def test_batches_depend_on_seed_epoch_and_number_alone():
    cuts = np.random.default_rng(0).integers(0, 255, (6, 16, 16), dtype=np.uint8)
    one, two, other = (CropBatches(cuts, np.zeros(6, int), 2, Augmentation(), seed) for seed in (0, 0, 1))
    assert (one[2][0] == two[2][0]).all() and (one[0][0] == two[0][0]).all() and (one[0][0] != other[0][0]).any()
    plain = CropBatches(cuts, np.zeros(6, int), 4)
    assert (plain[1][0][..., 0] == cuts[4:]).all() and plain[0][0].dtype == np.uint8


def test_empty_batches_are_refused():
    with pytest.raises(DataError, match="at least one crop and a label for each, got 0 crops"):
        CropBatches(np.zeros((0, 8, 8), np.uint8), np.zeros(0, int))


def test_conventions_are_those_of_keras():
    grey = np.repeat(np.arange(256.0)[:, None, None, None], 3, axis=-1)
    for mode in ("tf", "torch", "caffe"):
        scale, offset = CONVENTIONS[mode]
        expected = keras.applications.imagenet_utils.preprocess_input(grey.copy(), mode=mode)
        np.testing.assert_allclose(grey * scale + offset, expected, atol=1e-4)


def test_double_scaling_is_refused():
    image = keras.Input((8, 8, 3))
    plain = keras.Model(image, keras.layers.Conv2D(2, 3)(image), name="plain")
    scaled = keras.Model(image, keras.layers.Conv2D(2, 3)(keras.layers.Rescaling(1 / 255)(image)), name="scaled")
    with pytest.raises(ValueError, match="'paper' and base 'scaled' would scale it twice"):
        build_classifier(scaled, native="inside", input_scale="paper")
    with pytest.raises(ValueError, match="'inside' and base 'plain' would scale it not at all"):
        build_classifier(plain, native="inside", input_scale="native")
    with pytest.raises(ValueError, match="expected input_scale out of paper, native"):
        build_classifier(plain, native="tf", input_scale="double")


def test_scaling_layer_does_what_the_convention_says():
    image = keras.Input((4, 4, 3))
    base = keras.Model(image, keras.layers.Activation("linear")(image))
    model = build_classifier(base, native="torch", input_scale="native")
    inner = keras.Model(model.input, model.get_layer("scaling").output)
    seen = np.asarray(inner(np.full((1, 4, 4, 1), 200, np.uint8)))
    np.testing.assert_allclose(seen[0, 0, 0], (200 / 255 - MEAN) / SPREAD, rtol=1e-5)


def test_wrong_weights_are_refused():
    vgg = keras.applications.VGG16
    with pytest.raises(ValueError, match="weights out of scratch, pretrained.*got 'imagenet'"):
        build_base(vgg, 32, weights="imagenet")
    with pytest.raises(ValueError, match="weights_file only with pretrained, got 'scratch' and 'file.h5'"):
        build_base(vgg, 32, weights_file="file.h5")
    with pytest.raises(FileNotFoundError, match="pretrained weights in nowhere.h5"):
        build_base(vgg, 32, weights="pretrained", weights_file="nowhere.h5")


def test_published_weights_come_from_a_file_that_fits():
    def tiny(include_top, weights, input_shape, width=2):
        image = keras.Input(input_shape)
        return keras.Model(image, keras.layers.Conv2D(width, 3, name="conv")(image), name="tiny")


    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        file = Path(folder) / "tiny_notop.weights.h5"
        theirs = tiny(False, None, (8, 8, 3))
        theirs.save_weights(file)
        ours = build_base(tiny, 8, "pretrained", str(file))
        assert (ours.get_weights()[0] == theirs.get_weights()[0]).all()
        warnings.simplefilter("ignore")
        with pytest.raises(DataError, match="expected weights of tiny without top in .*got"):
            build_base(tiny, 8, "pretrained", str(file), width=3)
        file.write_bytes(file.read_bytes()[:300])
        with pytest.raises(DataError, match="expected weights of tiny without top in .*got"):
            build_base(tiny, 8, "pretrained", str(file))


def test_training_learns_and_keeps_its_best_epoch():
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3))
    model = build_classifier(keras.Model(image, keras.layers.Conv2D(8, 3, activation="relu")(image)), native="tf", dropout=0)
    ids = np.arange(36) % 4
    cuts = (60 * ids[:, None, None] + np.zeros((36, 8, 8))).astype(np.uint8)
    train, val = CropBatches(cuts, ids, 12), CropBatches(cuts[:5], ids[:5], 4)
    with tempfile.TemporaryDirectory() as folder:
        history = fit(model, train, val, folder, epochs=3, learning_rate=0.05, run_eagerly=True)
    assert list(history) == ["accuracy", "loss", "val_accuracy", "val_loss"] and len(history) == 3
    assert history.loss.iloc[-1] < history.loss.iloc[0]
    p = np.asarray(model(cuts[:5, ..., None], training=False))
    assert np.isclose(-np.log(p[np.arange(5), ids[:5]]).mean(), history.val_loss.min(), rtol=1e-3)


def test_training_stops_without_progress():
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3))
    model = build_classifier(keras.Model(image, keras.layers.Conv2D(2, 3)(image)), native="tf")
    batches = CropBatches(np.zeros((4, 8, 8), np.uint8), np.arange(4), 2)
    with tempfile.TemporaryDirectory() as folder:
        history = fit(model, batches, batches, folder, epochs=9, learning_rate=0.0, patience=2, run_eagerly=True)
        assert len(history) == 3 and epochs_since_best(history) == 2 and epochs_since_best(history[:0]) == 0
        assert len(fit(model, batches, batches, folder, epochs=9, learning_rate=0.0, patience=2, run_eagerly=True)) == 3  # not tried again


def test_nan_loss_is_a_clear_error():
    image = keras.Input((8, 8, 3))
    model = build_classifier(keras.Model(image, keras.layers.Conv2D(2, 3)(image)), native="tf")
    model.get_layer("probabilities").bias.assign([np.nan] * 4)
    batches = CropBatches(np.zeros((4, 8, 8), np.uint8), np.arange(4), 2)
    with (
        tempfile.TemporaryDirectory() as folder,
        pytest.raises(FloatingPointError, match=r"NaN or infinity: lower learning_rate \(now 0.001\)"),
    ):
        fit(model, batches, batches, folder, epochs=1, run_eagerly=True)


def test_a_killed_training_ends_like_one_that_ran_through():
    def dying(kind, method, last):
        def call(self, epoch, logs=None):
            if epoch == last:
                raise RuntimeError("killed")
            getattr(kind, method)(self, epoch)

        return {kind.__name__: type("Dying", (kind,), {method: call})}


    def go(folder, **callbacks):
        keras.utils.set_random_seed(0)
        image = keras.Input((8, 8, 3))
        base = keras.Model(image, keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3)(image)))
        model = build_classifier(base, native="tf", dropout=0.5)
        cuts = np.random.default_rng(0).integers(0, 255, (12, 8, 8), np.uint8)
        part = Split(None, cuts, np.arange(12) % 4)
        where = SimpleNamespace(checkpoints=Path(folder))
        with patch.dict(fit.__globals__, **callbacks):
            history = train_classifier(where, model, dict(train=part, val=part), Augmentation(), 4, 0.01, 1, batch_size=5, run_eagerly=True)
        return history, model.get_weights()


    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        history, weights = go(one)
        empty_log, row_without_state = dying(EpochSeeds, "on_epoch_begin", 0), dying(KeepState, "on_epoch_end", 1)
        for callbacks in (empty_log, row_without_state, dying(EpochSeeds, "on_epoch_begin", 2)):
            with pytest.raises(RuntimeError, match="killed"):
                go(two, **callbacks)
        for _ in range(2):  # goes on; then finds nothing left to do
            again, other = go(two)
            pd.testing.assert_frame_equal(again, history)
            assert all((a == b).all() for a, b in zip(weights, other))
    assert history.stage.tolist() == ["head"] + 4 * ["all"]


def test_frozen_base_keeps_its_weights_and_a_last_batch_of_one_is_fine():
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3))
    base = keras.Model(image, keras.layers.BatchNormalization()(keras.layers.Conv2D(2, 3)(image)))
    model = build_classifier(base, native="tf")
    batches = CropBatches(np.random.default_rng(0).integers(0, 255, (5, 8, 8), np.uint8), np.array([0, 1, 2, 3, 0]), 4)
    before, head = [w.copy() for w in base.get_weights()], model.get_layer("probabilities").get_weights()[0].copy()
    freeze_base(model, True)
    with tempfile.TemporaryDirectory() as folder:
        history = fit(model, batches, batches, folder, epochs=1, run_eagerly=True)
    assert all((a == b).all() for a, b in zip(before, base.get_weights()))
    assert (head != model.get_layer("probabilities").get_weights()[0]).any() and np.isfinite(history).all(axis=None)
    freeze_base(model, False)
    with tempfile.TemporaryDirectory() as folder:
        fit(model, batches, batches, folder, epochs=1, run_eagerly=True)
    assert any((a != b).any() for a, b in zip(before, base.get_weights()))


def test_balanced_weights_by_hand():
    assert class_weight([0, 0, 0, 1, 2, 3], "balanced") == {0: 0.5, 1: 1.5, 2: 1.5, 3: 1.5}
    assert class_weight([0, 1], "none") is None
    with pytest.raises(ValueError, match="out of none, balanced, got 'yes'"):
        class_weight([0], "yes")


def test_one_crop_none_and_a_black_one_have_probabilities():
    image = keras.Input((8, 8, 3))
    model = build_classifier(
        keras.Model(image, keras.layers.BatchNormalization()(keras.layers.Conv2D(2, 3)(image))), native="torch", input_scale="native"
    )
    black = np.zeros((1, 8, 8), np.uint8)
    assert np.allclose(predict_probabilities(model, black).sum(1), 1)
    assert predict_probabilities(model, black[:0]).shape == (0, 4)
    cuts = np.random.default_rng(0).integers(0, 255, (7, 8, 8), np.uint8)
    np.testing.assert_allclose(predict_probabilities(model, cuts, batch_size=3), predict_probabilities(model, cuts), rtol=1e-5)
    with pytest.raises(ValueError, match="expected crops as uint8 n x 8 x 8, got float64 1 x 8 x 8"):
        predict_probabilities(model, black / 255)
    with pytest.raises(ValueError, match="got uint8 8 x 8"):
        predict_probabilities(model, black[0])


def test_classifier_comes_back_from_its_folder():
    image = keras.Input((8, 8, 3))
    base = keras.Model(image, keras.layers.BatchNormalization()(keras.layers.Conv2D(2, 3)(image)))
    model = build_classifier(base, native="torch", input_scale="native", momentum=0.9)
    cuts = np.random.default_rng(0).integers(0, 255, (3, 8, 8), np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        card = Path(folder) / "classifier.json"
        card.write_text('{"module": "keras_training", "f1_validation": 0.5, "input": "mask"}')
        with pytest.raises(FileNotFoundError, match="expected a trained model"):
            load_classifier(folder)
        save_model(model, folder)
        again = load_classifier(folder)
        assert again.card["input"] == "mask"
        np.testing.assert_allclose(again.predict(cuts), predict_probabilities(model, cuts), rtol=1e-6)
        (Path(folder) / "classifier.keras").write_bytes(b"damaged")
        with pytest.raises(DataError, match="expected a Keras model in .*classifier.keras, got"):
            load_classifier(folder).predict(cuts)


def test_multiply_adds_by_hand():
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(5, 3, padding="same", strides=2)(image)
    x = keras.layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
    x = keras.layers.SeparableConv2D(6, 3, padding="same", use_bias=False)(x)
    table = layer_table(build_classifier(keras.Model(image, x), native="tf"))
    assert table.multiply_adds.tolist() == [3 * 3 * 3 * 5 * 16, 3 * 3 * 5 * 16, (3 * 3 * 5 + 5 * 6) * 16, 6 * 4]
    assert table.parameters.tolist() == [3 * 3 * 3 * 5 + 5, 3 * 3 * 5, 3 * 3 * 5 + 5 * 6, 6 * 4 + 4]
    assert table["size"].tolist() == [4, 4, 4, 1] and table.channels.tolist() == [5, 5, 6, 4]


def test_heat_lies_where_the_answer_comes_from():
    image = keras.Input((8, 8, 3))
    base = keras.Model(image, keras.layers.Conv2D(1, 1, kernel_initializer="ones", name="sum")(image), name="one")
    model = build_classifier(base, native="tf")
    model.get_layer("probabilities").kernel.assign([[1.0, -1, -1, -1]])
    cuts = np.zeros((2, 8, 8), np.uint8)
    cuts[0, :, 4:] = 255
    heat = grad_cam(model, cuts, "sum")
    assert (heat[0, :, :4] == 0).all() and (heat[0, :, 4:] > 0).all() and not heat[1].any()
    assert heat.shape == cuts.shape and grad_cam(model, cuts[:0], "sum").shape == (0, 8, 8)
    with pytest.raises(ValueError, match="expected a layer of one, such as sum, got 'top'"):
        grad_cam(model, cuts, "top")
