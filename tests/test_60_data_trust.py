"""Tests of nbs/60_data_trust.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import cv2
import numpy as np
import pandas as pd
import pytest

from brain_mri.classification import predictions_frame
from brain_mri.data import CLASSES, DataError, local_contrast
from brain_mri.data_trust import (
    agreement, agreement_in_words, all_and_twin_free, boxed_twice, correlation_in_words, count_conflicts, disguises,
    find_twins, fingerprint_images, label_conflicts, look_up, look_up_in_words, nearest, rescored, scores_of_part,
    size_and_mode, split_again, split_row, splits_in_words, telling_pairs, twin_free_in_words, twins_in_words,
)
from brain_mri.metrics import detections_to_frame
from brain_mri.phantom import make_phantom
from brain_mri.tables import model_table


def test_planted_twins_are_found_with_their_kind():
    images_ = [cv2.resize(make_phantom(k, size=96).image, (400, 400)) for k in range(12)]  # a hundredth is four pixels
    planted_ = {"again": images_[1], "saved anew": images_[2], "stranger": make_phantom(50, size=96).image, **disguises(images_[3])}
    files_ = [image.tobytes() for image in images_ + list(planted_.values())]
    files_[13] = b"another file format"
    table_ = fingerprint_images(images_ + list(planted_.values()), files_)
    found_ = find_twins(table_[12:], table_[:12], 0.95)
    expected_ = {"again": "bytes", "saved anew": "pixels", "stranger": "none"}
    expected_ |= {"brighter": "near", "mirrored": "mirrored", "cropped": "near", "mirrored and brighter": "mirrored"}
    assert dict(zip(planted_, found_.kind)) == expected_
    assert found_.twin[found_.kind != "none"].tolist() == [1, 2, 3, 3, 3, 3]
    assert found_.flip[found_.kind != "none"].tolist() == [False, False, False, True, False, True]


def test_phantoms_have_no_twins():
    table_ = fingerprint_images([make_phantom(k, size=64).image for k in range(60)])
    assert (find_twins(table_[40:], table_[:40], 0.95).kind == "none").all()


def test_a_twins_twin_is_found_by_its_group():
    table_ = fingerprint_images([make_phantom(k, size=64).image for k in range(3)]).assign(group=[0, 1, 0])
    assert find_twins(table_[:2], table_[2:], 0.95).kind.tolist() == ["chain", "none"]


def test_twins_without_training_or_test_scans():
    table_ = fingerprint_images([make_phantom(k, size=64).image for k in range(2)])
    alone_ = find_twins(table_, table_[:0], 0.95)
    assert (alone_.kind == "none").all() and (alone_.twin == -1).all() and alone_.correlation.isna().all()
    assert find_twins(table_[:0], table_, 0.95).empty
    assert correlation_in_words(alone_[:0], np.zeros(0), 0.95) == "There are no test scans."


def test_nearest_does_not_depend_on_the_block():
    table_ = fingerprint_images([make_phantom(k, size=64).image for k in range(9)])
    whole_, parts_ = (nearest(table_[5:], table_[:5], block) for block in (1024, 2))
    assert np.allclose(whole_.plain, parts_.plain, atol=1e-5) and (whole_.mirrored_twin == parts_.mirrored_twin).all()
    r_ = np.corrcoef([local_contrast(thumbnail).ravel() for thumbnail in table_.thumbnail])[5:, :5]
    assert np.allclose(whole_.plain, r_.max(1), atol=1e-4) and whole_.plain_twin.tolist() == r_.argmax(1).tolist()


def test_twins_in_words_by_hand():
    row_ = {"test images": 10, "training images": 40, "bytes": 1, "pixels": 0, "near": 2, "mirrored": 1, "chain": 0, "any": 4}
    table_ = pd.DataFrame([{"test set": "a", "training set": "a"} | row_, {"test set": "a", "training set": "b"} | row_ | {"any": 5}])
    text_ = twins_in_words(table_)
    assert "Of the 10 test images of a, 4 (40%) have a twin" in text_ and "5 of 10 test images of a are in b." in text_
    assert twins_in_words(table_[:1]).endswith("No test image has a twin in another set's training part.")
    assert twins_in_words(table_[:1].assign(any=0)).startswith("None of the 10 test images of a has a twin in its own training part.")


def test_telling_pairs_are_those_at_the_threshold():
    found_ = pd.DataFrame({"kind": ["near", "near", "none", "none", "chain"], "correlation": [0.99, 0.96, 0.5, 0.94, 0.9], "twin": 0})
    assert {kind: rows.index.tolist() for kind, rows in telling_pairs(found_, 1).items()} == {"near": [1], "none": [3]}


def test_conflicts_are_counted_and_listed():
    table_ = pd.DataFrame({"group": [0, 0, 1, 1, 2, 0], "label": ["glioma", "pituitary", "glioma", "glioma", "no_tumor", None]})
    table_ = table_.assign(set="labels", split="train", path=list("abcdef"))
    assert label_conflicts(table_).path.tolist() == ["a", "b"]
    assert count_conflicts(table_) == {"groups of copies": 2, "with two labels": 1, "scans in those": 2}
    assert count_conflicts(table_[5:]) == {"groups of copies": 0, "with two labels": 0, "scans in those": 0}


def test_mirrored_boxes_agree_after_mirroring():
    image_ = make_phantom(1, size=96).image
    table_ = fingerprint_images([image_, image_[:, ::-1], cv2.resize(image_, (192, 192))])
    boxes_ = [np.float32([[10, 20, 40, 60]]), np.float32([[56, 20, 86, 60]]), np.float32([[20, 40, 80, 80]])]
    table_ = table_.assign(boxes=boxes_, width=[96, 96, 192], height=[96, 96, 192])
    twice_ = boxed_twice(table_, 0.95)
    assert twice_.kind.tolist() == ["mirrored", "near", "mirrored"] and np.allclose(twice_.iou, [1, 0.5, 0.5])
    found_ = agreement(twice_, n_boot=50)
    assert found_["identical"] == 1 / 3 and np.isclose(found_["ceiling"], (1 + 0.1 + 0.1) / 3) and found_["over 0.75"] == 1 / 3


def test_agreement_without_copies():
    table_ = fingerprint_images([make_phantom(k, size=64).image for k in range(2)])
    for boxes_ in (np.zeros((0, 4)), np.float32([[1, 2, 3, 4]])):
        twice_ = boxed_twice(table_.assign(boxes=[boxes_] * 2, width=64, height=64), 0.95)
        found_ = agreement(twice_)
        assert found_["pairs"] == 0 and np.isnan(found_["ceiling"]) and "boxed twice" in agreement_in_words(found_)


def test_a_look_up_answers_with_the_label_of_the_copy():
    images_ = [make_phantom(k, size=64).image for k in range(6)]
    train_ = fingerprint_images(images_).assign(label=["glioma", "pituitary", "no_tumor", "meningioma", "glioma", "glioma"])
    test_ = fingerprint_images([images_[3], images_[1], images_[2][:, ::-1]])
    found_ = nearest(test_, train_)
    assert look_up(found_, train_, mirror=True).argmax(1).tolist() == [1, 3, 2]
    assert look_up(found_, train_, mirror=False)[:2].argmax(1).tolist() == [1, 3]


def test_a_look_up_beside_the_paper():
    text_ = look_up_in_words(98.0, {"a": 97.0, "b": 99.0}, {"c": 98.5})
    assert "answers 98.00 %" in text_ and "1 of 2 of the paper's classifiers score lower: a." in text_
    assert text_.endswith("0 of 1 of the classifiers that have run here score lower.")


def test_size_and_mode_can_give_a_class_away():
    train_ = pd.DataFrame({"width": [64] * 10 + [96] * 20, "height": 64, "mode": ["L"] * 20 + ["RGB"] * 10})
    train_["label"] = ["glioma"] * 10 + ["no_tumor"] * 10 + ["pituitary"] * 10
    test_ = pd.DataFrame({"width": [64, 96, 96], "height": 64, "mode": ["L", "RGB", "L"]})
    assert size_and_mode(train_, test_).tolist() == [[1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]]


def test_a_part_without_a_class_has_no_scores():
    labels_, p_ = np.arange(8) % 4, np.eye(4)[np.arange(8) % 4]
    assert scores_of_part(labels_, p_, np.full(8, True), 20, 0)[0]["f1"] == 1
    assert scores_of_part(labels_, p_, labels_ > 0, 20, 0) == scores_of_part(labels_, p_, labels_ > 9, 20, 0) == ({}, {})


def test_groups_stay_on_one_side():
    images_ = [image for k in range(10) for image in (make_phantom(k, size=64).image, make_phantom(k, size=64).image[:, ::-1])]
    table_ = fingerprint_images(images_).assign(label="glioma", path=range(20))
    train_, test_ = split_again(table_, 5, "group")
    row_ = split_row(train_, test_, 0.95)
    assert (row_["training"], row_["test"], row_["test images with a twin"]) == (16, 4, 0)
    row_ = split_row(*split_again(table_, 5, "path"), 0.95)
    assert row_["test images with a twin"] > 0 and row_["look-up"] == 1


def test_splits_without_labels_or_patients():
    table_ = fingerprint_images([make_phantom(k, size=64).image for k in range(4)]).assign(label=None)
    assert np.isnan(split_row(table_[:2], table_[2:], 0.95)["look-up"])
    rows_ = [{"set": "a", "split": split, "look-up, mirror-aware": score} for split, score in (("one by one", 0.9), ("whole groups", 0.6))]
    assert splits_in_words(pd.DataFrame(rows_)).startswith(
        "In a the mirror-aware look-up scores 90.0% when images are drawn one by one and 60.0%"
    )
    assert "No set says" in splits_in_words(pd.DataFrame(rows_)) and "known in a." in splits_in_words(
        pd.DataFrame(rows_).replace("one by one", "whole patients")
    )


def test_a_model_that_only_knows_copies_is_found_out():
    labels_ = np.repeat(list(CLASSES), 10)
    known_ = np.arange(40) % 10 < 6  # these have a twin, and are answered correctly
    answers_ = np.where(known_, np.arange(40) // 10, (np.arange(40) // 10 + 1) % 4)
    predictions_ = predictions_frame(pd.DataFrame({"path": range(40), "label": labels_}), np.eye(4)[answers_])
    report_ = {
        "kind": "classifier",
        "model": "VGG16",
        "metrics": {},
        "ci95": {},
        "dataset": "d",
        "weights": "none",
        "n_train": 1,
        "notebook": "n",
    }
    everything_, part_ = (rescored(report_, predictions_, paths, 20) for paths in (range(40), np.flatnonzero(~known_)))
    assert everything_["metrics"]["accuracy"] == 0.6 and part_["metrics"]["accuracy"] == 0 and part_["n_test"] == 16
    tables_ = [model_table("table4", [m]) for m in (everything_, part_)]
    assert "VGG16 60.0 % on all 40, 0.0 % on the 16 without a twin (-60.0 points)" in twin_free_in_words(*tables_)


def test_parts_without_images_or_classes_have_missing_scores():
    spot_ = np.float32([[0, 0, 9, 9]])
    images_ = [dict(path=p, width=20, height=20, boxes=spot_, scores=[0.9], true_boxes=t) for p, t in (("a", spot_), ("b", spot_[:0]))]
    report_ = {
        "kind": "detector",
        "model": "YOLOv8",
        "metrics": {"threshold": 0.5},
        "dataset": "d",
        "weights": "none",
        "n_train": 1,
        "notebook": "n",
    }
    predictions_ = detections_to_frame(images_)
    assert rescored(report_, predictions_, {"a", "b"}, 20)["metrics"]["recall"] == 1
    tables_ = [model_table("table3", [rescored(report_, predictions_, paths, 20)]) for paths in ({"a", "b"}, {"a"}, set())]
    assert [table.n_test[0] for table in tables_] == [2, 1, 0] and tables_[1].f1.isna().all() and tables_[2].f1.isna().all()
    assert "cannot be scored" in twin_free_in_words(tables_[0], tables_[1])
    assert twin_free_in_words(tables_[0][:0], tables_[1][:0]) == "No model has run yet."
    assert "None of the 2 test images has a twin" in twin_free_in_words(tables_[0], tables_[0])


def test_predictions_of_other_scans_are_refused():
    class Other_:
        all_metrics = lambda self, kind: [{"notebook": "33_vgg16", "kind": kind}]
        predictions = lambda self, notebook: pd.DataFrame({"path": ["a", "x"]})


    with pytest.raises(DataError, match="expected predictions of test scans, got 1 other scans from 33_vgg16: run it again"):
        all_and_twin_free(Other_(), "classifier", pd.DataFrame({"path": ["a", "b"]}), np.array([True, False]))
