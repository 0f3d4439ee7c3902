"""Tests of nbs/36_classifiers.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from brain_mri.classification import predictions_frame
from brain_mri.classifier_comparison import (
    accuracy_by_group, claims_in_words, classifier_results, comparison_in_words, confusions, hardest, heat_in_words,
    mcnemar_p, paired_comparison, reliability_bins,
)
from brain_mri.data import DataError
from brain_mri.metrics import calibration_error
from brain_mri.reports import Run


def test_answers_come_in_the_order_of_the_scans():
    with tempfile.TemporaryDirectory() as folder:
        made_ = Run("33_vgg16")
        made_.out = made_.reports = Path(folder)
        with pytest.raises(FileNotFoundError, match="expected results of a classifier"):
            classifier_results(made_, ["a"])
        frame_ = pd.DataFrame({"path": ["a", "b"], "label": ["glioma", "pituitary"]})
        made_.save_predictions(predictions_frame(frame_, np.float32([[0.7, 0.1, 0.1, 0.1], [0.4, 0.2, 0.2, 0.2]])))
        made_.save_metrics("classifier", "VGG16", "d", "none", 0, 1, 2, metrics={"temperature": 2}, ci95={})
        with pytest.raises(FileNotFoundError, match="expected validation predictions .* make them with `make 33_vgg16`"):
            classifier_results(made_, ["b", "a"])
        text_ = (made_.out / "predictions" / "33_vgg16.csv").read_text()
        (made_.out / "predictions" / "33_vgg16_validation.csv").write_text(text_)
        answers_ = classifier_results(made_, ["b", "a"])["VGG16"]
        assert answers_.labels.tolist() == [3, 0] and answers_.right.tolist() == [False, True]
        assert answers_.val_labels.tolist() == [0, 3] and answers_.report["metrics"] == {"temperature": 2}
        with pytest.raises(DataError, match="expected predictions of the 3 test scans, got 2 scans, 1 of them in common, from 33_vgg16"):
            classifier_results(made_, ["a", "c", "d"])


def test_claims_are_read_from_scores_and_intervals():
    row_ = lambda accuracy, low, f1: ({"accuracy": accuracy, "f1": f1}, {"accuracy": [low, 1.0]})
    text_ = claims_in_words({"VGG16": row_(0.95, 0.91, 0.8), "CoCa": row_(0.92, 0.88, 0.9), "Xception": row_(0.5, 0.4, 0.5)})
    assert text_ == [
        "2 of 3 have an accuracy above 90%; with the whole interval: VGG16.",
        "By accuracy, CoCa is number 2 of 3, behind VGG16.",
        "By f1, CoCa is number 1 of 3.",
    ]
    assert claims_in_words({"VGG16": row_(0.5, 0.4, 0.5)})[1] == "CoCa has not run."


def test_confusions_by_hand():
    labels_ = [0, 0, 1, 3]
    table_ = confusions(labels_, {"a": [0, 1, 1, 1], "b": [1, 1, 1, 3]})
    assert table_.index[0] == ("glioma", "meningioma") and table_.iloc[0].tolist() == [0.5, 1.0]
    assert table_.loc[("pituitary", "meningioma")].tolist() == [1, 0] and len(table_) == 12
    assert (table_.loc["no_tumor"] == 0).all(axis=None)  # no such image


def test_groups_keep_a_width_where_nothing_went_wrong():
    table_ = accuracy_by_group([True, True, True, False, True], ["a", "a", "a", "b", "b"])
    assert table_[["group", "images", "accuracy"]].values.tolist() == [["a", 3, 1.0], ["b", 2, 0.5]]
    assert 0.3 < table_.low[0] < 1 and np.isclose(table_.high[0], 1) and np.isclose(table_.low[1] + table_.high[1], 1)


def test_empty_groups_are_left_out():
    assert accuracy_by_group([True], pd.Categorical(["a"], ["a", "b"])).group.tolist() == ["a"]
    assert accuracy_by_group([], []).empty


def test_mcnemar_counts_coin_tosses():
    assert np.isclose(mcnemar_p(3, 0), 2 / 8)  # three heads or three tails
    assert np.isclose(mcnemar_p(1, 4), 2 * (1 + 5) / 32) and mcnemar_p(1, 4) == mcnemar_p(4, 1)
    assert mcnemar_p(0, 0) == 1 and mcnemar_p(7, 7) == 1  # nothing to tell them apart


def test_few_scans_decide_and_the_correction_costs():
    right_ = {"a": np.ones(100, bool), "b": np.arange(100) >= 7, "c": np.arange(100) >= 6}
    table_ = paired_comparison(right_, n_boot=200).set_index(["first", "second"])
    assert table_.loc[("a", "b"), ["both_right", "only_first", "only_second", "both_wrong"]].tolist() == [93, 7, 0, 0]
    assert np.isclose(table_.difference[("a", "b")], 0.07) and table_.low[("a", "b")] > 0
    assert np.isclose(table_.p[("a", "b")], 2 / 2**7) and np.isclose(table_.p_holm[("a", "b")], 3 * 2 / 2**7)  # three pairs
    assert table_.differs.tolist() == [True, False, False]
    assert np.isclose(table_.p[("a", "c")], 2 / 2**6)  # alone it would have been a difference


def test_twins_a_single_one_and_none_cannot_differ():
    same_ = paired_comparison({"a": [True, False], "b": [True, False]}, n_boot=50)
    assert same_[["difference", "low", "high", "p", "p_holm", "differs"]].values.tolist() == [[0, 0, 0, 1, 1, False]]
    for right_ in ({"a": [True, False]}, {}):
        table_ = paired_comparison(right_)
        assert (
            table_.empty and "p_holm" in table_ and comparison_in_words(table_) == ["A single classifier has run: there is nothing to compare."]
        )
    with pytest.raises(ValueError, match="expected answers to the same images, got 1 of a, 2 of b"):
        paired_comparison({"a": [True], "b": [True, False]})


def test_comparisons_read_as_sentences():
    right_ = {"a": np.arange(100) >= 8, "b": np.ones(100, bool), "c": np.arange(100) >= 6}
    table_ = paired_comparison(right_, n_boot=200)
    text_ = comparison_in_words(table_)
    assert text_[0].startswith("b is better than a by 8.0 points [") and text_[0].endswith("p = 0.023.")
    assert text_[1] == "2 of 3 pairs cannot be told apart by these scans; uncorrected, 1 of them would have seemed to differ."


def test_bins_add_up_to_the_calibration_error():
    rng_ = np.random.default_rng(0)
    confidence_, right_ = rng_.random(50), rng_.random(50) < 0.5
    table_ = reliability_bins(confidence_, right_, 15)
    gap_ = (table_.images * np.abs(table_.accuracy - table_.confidence)).sum() / 50
    assert np.isclose(gap_, calibration_error(confidence_, right_, 15)) and table_.images.sum() == 50


def test_empty_bins_are_left_out():
    table_ = reliability_bins([1.0, 1.0, 0.5], [True, True, False], 10)
    assert table_.values.tolist() == [[0.4, 0.5, 1, 0.5, 0], [0.9, 1.0, 2, 1, 1]]
    assert reliability_bins([], [], 10).empty


def test_heat_may_be_missing():
    both_ = "a: heat inside the lesion 50% when it is right (2.0 times even heat), 25% when it is wrong (1.0 times even heat)."
    assert heat_in_words("a", 0.5, 0.05, 0.25, 0.05) == both_.replace("25%", "5%")
    assert heat_in_words("a", 0.5, None, 0.25, None).endswith("(2.0 times even heat), not measured when it is wrong.")
    assert heat_in_words("a", np.nan, 0.5, None, 0.25).endswith("not measured when it is right, 50% when it is wrong (2.0 times even heat).")
    for row_ in ([None] * 4, (0.5, 0.5, None, np.nan), (None, np.nan, 0.25, 0.25), (0.5, 0.5, 0, 0)):
        assert heat_in_words("a", *row_) == "a: not measured."


def test_hardest_by_hand():
    sure_, unsure_, wrong_ = [0.9, 0.1, 0, 0], [0.6, 0.4, 0, 0], [0.2, 0.8, 0, 0]
    probabilities_ = {"a": [sure_, wrong_, unsure_, wrong_], "b": [sure_, wrong_, wrong_, [0.3, 0.7, 0, 0]]}
    assert hardest([0, 0, 0, 0], probabilities_, 9) == [1, 3, 2]  # both wrong, the surer one first; one wrong; never the right one
    assert hardest([0, 0, 0, 0], probabilities_, 1) == [1] and hardest([0, 1, 0, 1], {"a": probabilities_["a"]}, 9) == []
