"""Tests of nbs/09_classification.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import json
import tempfile
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss

from brain_mri.classification import (
    Split, apply_temperature, fit_temperature, from_predictions, heat_scores, heat_share, negative_log_likelihood,
    overview, predictions_frame, publish_classifier, split_crops, surest, true_lesions,
)
from brain_mri.data import CLASSES, DataError
from brain_mri.reports import Run, read_card


def test_missing_class_in_a_split_is_named():
    frame_ = pd.DataFrame({"label": ["glioma", "no_tumor", "pituitary", "meningioma"], "split": ["val", "val", "val", "train"]})
    with pytest.raises(DataError, match="every class in split 'val', got none of meningioma among 3"):
        split_crops(SimpleNamespace(frame=frame_, found=np.ones(4, bool)), "val", "mask", 8, 0)


def test_split_keeps_rows_labels_and_crops_together():
    frame_ = pd.DataFrame({"label": [*CLASSES, *CLASSES], "split": ["train"] * 4 + ["test"] * 4})
    cut_ = lambda rows, input, size, margin: np.stack([np.full((size, size), i, np.uint8) for i in rows])
    store_ = SimpleNamespace(frame=frame_, found=np.arange(8) % 2 == 0, crops=cut_)
    part_ = split_crops(store_, "test", "mask", 5, 0.1)
    assert part_.crops[:, 0, 0].tolist() == part_.frame.row.tolist() == [4, 5, 6, 7] and part_.labels.tolist() == [0, 1, 2, 3]
    assert part_.frame["found"].tolist() == [True, False, True, False]
    assert overview({"test": part_})[("whole", "test")].to_dict() == {"glioma": 0, "meningioma": 1, "no_tumor": 0, "pituitary": 1}


def test_predictions_come_back_from_their_file():
    p_ = np.array([[0.7, 0.1, 0.1, 0.1], [0.1, 0.6, 0.2, 0.1]])
    table_ = predictions_frame(pd.DataFrame({"path": ["a", "b"], "label": ["glioma", "pituitary"]}), p_)
    assert list(table_) == ["path", "label", "predicted", "p_glioma", "p_meningioma", "p_no_tumor", "p_pituitary"]
    assert table_.predicted.tolist() == ["glioma", "meningioma"] and table_.p_no_tumor.tolist() == [0.1, 0.2]
    labels_, again_ = from_predictions(table_)
    assert labels_.tolist() == [0, 3] and (again_ == p_).all()


def test_each_class_comes_once_before_any_comes_again():
    p_ = np.array([[0.9, 0.1, 0, 0], [0.8, 0.2, 0, 0], [0.3, 0.7, 0, 0], [0.6, 0.4, 0, 0]])
    assert surest(np.array([0, 0, 1, 1]), p_, True) == [0, 2, 1] and surest(np.array([0, 0, 1, 1]), p_, False) == [3]
    assert surest(np.array([0, 0, 1, 1]), p_, True, 1) == [0] and surest(np.array([0]), p_[:1], False) == []


def test_temperature_makes_overconfident_answers_humble_and_keeps_their_order():
    rng_ = np.random.default_rng(0)
    honest_ = rng_.dirichlet([0.5] * 4, 4000)
    labels_ = np.array([rng_.choice(4, p=p) for p in honest_])
    boast_ = apply_temperature(honest_, 1 / 3)
    assert abs(fit_temperature(labels_, boast_) - 3) < 0.2
    assert (apply_temperature(boast_, 3).argmax(1) == boast_.argmax(1)).all()
    np.testing.assert_allclose(apply_temperature(boast_, 3), honest_, atol=1e-3)


def test_log_likelihood_agrees_with_scikit_learn_and_bears_zeros():
    p_ = np.array([[0.7, 0.1, 0.1, 0.1], [0.2, 0.5, 0.2, 0.1]])
    assert np.isclose(negative_log_likelihood(np.array([0, 2]), p_), log_loss([0, 2], p_, labels=range(4)))
    assert np.isfinite(negative_log_likelihood(np.array([1]), np.array([[1.0, 0, 0, 0]])))
    assert np.allclose(apply_temperature([[1.0, 0, 0, 0]], 2).sum(1), 1) and 0 < fit_temperature(np.array([0]), np.eye(4)[:1])


def test_heat_share_by_hand():
    assert heat_share(np.ones((1, 4, 4)), np.eye(4, dtype=bool)[None]).tolist() == [0.25]  # even heat scores the lesion's share
    assert np.isnan(heat_share(np.ones((1, 4, 4)), np.zeros((1, 4, 4), bool))).all()
    assert np.isnan(heat_share(np.zeros((1, 4, 4)), np.ones((1, 4, 4), bool))).all()


def test_true_lesions_are_cut_like_the_crops():
    class Made_:
        def __init__(self, _):
            self.images, self.boxes = np.zeros((2, 40, 40), np.uint8), np.float32([[10, 10, 30, 30], [0, 0, 0, 0]])
            self.mask = lambda path: np.pad(np.ones((20, 20), bool), 10)


    rows_ = pd.DataFrame({"mask": ["a", "b"], "found": [True, False], "row": [0, 1]})
    where_ = SimpleNamespace(input=str)
    with patch.dict(true_lesions.__globals__, LesionStore=Made_, Scans=Made_):
        both_ = true_lesions(where_, Split(rows_, None, None), "mask", 20, 0.0)
        assert both_[0].all() and both_[1].mean() == 0.25  # inside its box; a quarter of the whole scan
        assert true_lesions(where_, Split(rows_.assign(mask=None), None, None), "mask", 20, 0.0) is None


def test_published_scores_follow_from_the_predictions():
    part_ = lambda n: Split(
        pd.DataFrame({"path": range(n), "label": [CLASSES[i % 4] for i in range(n)], "found": True}),
        np.zeros((n, 8, 8), np.uint8),
        np.arange(n) % 4,
    )
    splits_ = {"train": part_(12), "val": part_(16), "test": part_(20)}
    answer_ = lambda crops: 0.6 * np.eye(4)[np.arange(len(crops)) % 4 // 2 * 2] + 0.1  # right for every second class
    made_ = Run("09_classification")
    with tempfile.TemporaryDirectory() as place_:
        made_.out = made_.work = Path(place_)
        cost_ = dict(parameters=1, multiply_adds=2, ms_alone=3.0, ms_batch=4.0)
        seen_ = np.ones((20, 8, 8)), np.tile(np.arange(8) < 4, (20, 8, 1))
        p_, table_ = publish_classifier(
            made_, splits_, answer_, "coca", "CoCa", {"input": "mask", "margin": 0.1}, cost_, seen_, dataset="d", weights="scratch", seed=0
        )
        card_, file_ = read_card(place_, "classifier"), json.loads((made_.out / "metrics/09_classification.json").read_text())
        assert file_["metrics"]["accuracy"] == table_.test["accuracy"] == 0.5 and file_["n_train"] == 12 and card_["image_size"] == 8
        assert {file_["metrics"][f"{what_}_{word_}"] for what_ in ("heat_inside", "lesion_share") for word_ in ("right", "wrong")} == {0.5}
        assert card_["temperature"] == file_["metrics"]["temperature"] and file_["metrics"]["ece_scaled"] < file_["metrics"]["ece"]
        assert (from_predictions(pd.read_csv(made_.out / "predictions/09_classification_validation.csv"))[0] == splits_["val"].labels).all()


def test_heat_without_a_lesion_or_a_wrong_answer_is_not_measured():
    metrics_, ci95_ = heat_scores(np.ones((2, 4, 4)), np.zeros((2, 4, 4), bool), np.array([True, True]), 0)
    assert len(metrics_) == 4 and np.isnan(list(metrics_.values())).all() and ci95_ == {}
    masks_ = np.zeros((3, 4, 4), bool)
    masks_[0, :2], masks_[1:, :1] = True, True  # a large lesion, named right; two small ones, one of them named right
    metrics_, ci95_ = heat_scores(np.ones((3, 4, 4)), masks_, np.array([True, True, False]), 0)
    assert metrics_ == {"heat_inside_right": 0.375, "lesion_share_right": 0.375, "heat_inside_wrong": 0.25, "lesion_share_wrong": 0.25}
    assert set(ci95_) == {"heat_inside_right"}
