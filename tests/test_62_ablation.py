"""Tests of nbs/62_ablation.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import json
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from brain_mri.ablation import (
    Variant, ablation_in_words, classifier_settings, contrast_table, input_variants, lesion_pixels, named_contrasts,
    presence_baseline, three_classes, train_variant, true_store, variant_scores, with_decoys,
)
from brain_mri.classification import Split
from brain_mri.data import DataError
from brain_mri.lesions import LesionStore
from brain_mri.reports import Run


def test_settings_are_those_of_the_run_and_wrong_names_are_refused():
    with tempfile.TemporaryDirectory() as folder_:
        made_ = Run("62_ablation")
        made_.reports = Path(folder_)
        file_ = Path(folder_) / "metrics" / "33_vgg16.json"
        file_.parent.mkdir()
        file_.write_text(json.dumps({"metrics": {}, "params": {"epochs": 12, "seed": 5}}))
        assert classifier_settings(made_, "33_vgg16", {"epochs": 2}, 1) == {"epochs": 2, "seed": 1}
        with pytest.raises(ValueError, match="expected changes among the parameters of 33_vgg16, got epoch: correct the name"):
            classifier_settings(made_, "33_vgg16", {"epoch": 2})
        with pytest.raises(ValueError, match="expected classifiers out of 30_inceptionv3.* got 'vgg16'"):
            classifier_settings(made_, "vgg16", {})
        file_.write_text('{"metrics": {}}')
        with pytest.raises(DataError, match="expected the parameters of 33_vgg16 .*: run it with `make 33_vgg16`"):
            classifier_settings(made_, "33_vgg16", {})


def test_decoys_come_from_the_same_split_and_leave_the_original_alone():
    made_ = LesionStore.__new__(LesionStore)
    made_.frame = pd.DataFrame({"split": ["train", "train", "test", "test"], "mask": ["a", "b", "c", "d"]})
    made_.images = np.zeros((4, 8, 8), np.uint8)


    class Masks_:
        def mask(self, path):
            return np.eye(16, dtype=bool) if path == "a" else np.tri(16, dtype=bool) if path == "c" else np.zeros((16, 16), bool)


    true_ = true_store(made_, Masks_())
    assert (
        true_.found.tolist() == [True, False, True, False]
        and true_.boxes[1].tolist() == [0, 0, 0, 0]
        and true_.boxes[0].tolist() == [0, 0, 8, 8]
    )
    decoyed_ = with_decoys(true_, 3)
    assert decoyed_.found.all() and true_.found.sum() == 2 and np.array_equal(decoyed_.boxes[[1, 3]], true_.boxes[[0, 2]])
    assert np.array_equal(decoyed_.masks[[1, 3]], true_.masks[[0, 2]]) and not true_.masks[1].any()
    true_.images[1, 4:, 4:] = 200  # the head of a scan lies elsewhere
    true_.boxes = np.float32([[0, 0, 3, 3], [0, 0, 0, 0], [0, 0, 3, 3], [0, 0, 0, 0]])
    true_.frame = pd.DataFrame({"split": ["train"] * 4})
    true_.boxes[2] = [5, 5, 8, 8]
    assert {tuple(with_decoys(true_, seed).boxes[1]) for seed in range(9)} == {(5, 5, 8, 8)}
    made_.frame.loc[3, "mask"] = None
    assert true_store(made_, Masks_()) is None
    true_.found, true_.frame = np.array([False, False, True, True]), made_.frame
    with pytest.raises(DataError, match="expected at least one scan with a box in split 'train', got none"):
        with_decoys(true_)


def test_variants_have_names_of_their_own():
    names_ = [each.name for each in input_variants([0, 0.25], 0.1)]
    assert names_ == ["whole", "box_0", "box_25", "mask", "box_0_true", "mask_true", "box_0_decoys"]
    assert [each.name for each in input_variants([0.125], 0.1, ("detected",))] == ["whole", "box_12.5", "mask"]


def test_lesion_pixels_by_hand():
    boxes_ = np.float32([[0, 0, 16, 8], [10, 10, 20, 26]])
    at_ = lambda input, margin: lesion_pixels(boxes_, 128, Variant("", input, margin, "detected"), 48)
    assert at_("whole", 0.5) == 6 and at_("box", 0) == 48 and at_("mask", 0.25) == 32


def test_presence_baseline_by_hand():
    assert presence_baseline([1, 1, 1, 0, 0], [3, 3, 0, 2, 2], [1, 0]).tolist() == [3, 2]
    assert presence_baseline([1, 1, 1], [1, 1, 2], [0, 1]).tolist() == [1, 1]  # a state never seen


def test_three_classes_by_hand():
    np.testing.assert_allclose(three_classes([[0.2, 0.1, 0.6, 0.1], [0, 0, 1, 0]]), [[0.5, 0.25, 0, 0.25], [1 / 3, 1 / 3, 0, 1 / 3]])
    metrics_, ci95_ = variant_scores([0, 1, 2, 3], [[0.3, 0.1, 0.6, 0], [0.1, 0.8, 0.1, 0], [0, 0, 1, 0], [0.5, 0, 0, 0.5]], 20)
    assert metrics_["accuracy"] == 0.5 and metrics_["accuracy_binary"] == 0.75 and metrics_["accuracy_three"] == pytest.approx(2 / 3)
    assert ci95_.keys() == metrics_.keys()


def test_a_finished_training_is_not_repeated_and_the_same_seed_gives_the_same():
    sizes_ = dict(image_size=16, patch=8, width=8, layers=1, heads=2, text_width=8, text_layers=1, queries=2, context_length=40, merges=86)
    names_ = dict(
        architecture="small", weights="scratch", pretrained_tag="", weights_file="", precision="32-true", device="cpu", input_scale="native"
    )
    rates_ = dict(
        learning_rate=1e-2, weight_decay=0, contrastive_weight=1, caption_weight=1, epochs=1, decay=0.5, patience=0, clip=1, batch_size=4
    )
    turns_ = dict(rotation=[0, 45], zoom=[1, 1], brightness=[1, 1], contrast=[1, 1], crop=[1, 1], flip=0.5, seed=0)
    noise_ = np.random.default_rng(0).integers(0, 256, (8, 16, 16), np.uint8)
    split_ = Split(None, noise_, np.arange(8) % 4)
    ends_, settings_ = [], sizes_ | names_ | rates_ | turns_
    with tempfile.TemporaryDirectory() as folder_:
        for place_ in ("a", "a", "b"):
            file_ = Path(folder_) / place_ / "best.ckpt"
            before_ = file_.stat().st_mtime_ns if file_.exists() else None
            ends_.append(train_variant("35_coca", settings_, {"train": split_, "val": split_}, file_.parent)(noise_))
            assert before_ in (None, file_.stat().st_mtime_ns)
    assert np.array_equal(ends_[0], ends_[1]) and np.array_equal(ends_[0], ends_[2]) and np.allclose(ends_[0].sum(1), 1)


def test_contrasts_by_hand():
    asked_ = named_contrasts(input_variants([0, 0.25], 0.1))
    assert list(asked_) == [
        "mask_minus_whole",
        "mask_minus_box",
        "wide_minus_tight",
        *[f"true_minus_detected_{x}" for x in ("box", "mask")],
        "decoys_minus_true",
    ]
    assert asked_["decoys_minus_true"] == ("box_0_decoys", "box_0_true") and asked_["wide_minus_tight"] == ("box_25", "box_0")
    assert list(named_contrasts(input_variants([0.1], 0.1, ("detected",)))) == ["mask_minus_whole", "mask_minus_box"]
    right_ = {"a": np.repeat([True, False], [9, 1]), "b": np.repeat([True, False], [2, 8]), "c": np.repeat([True, False], [2, 8])}
    table_ = contrast_table(right_, {"a_minus_b": ("a", "b"), "b_minus_c": ("b", "c")}, n_boot=50)
    assert table_.loc["a_minus_b", "difference"] == pytest.approx(0.7) and table_.loc["a_minus_b", "only_first"] == 7
    assert table_.loc["a_minus_b", "p_holm"] == pytest.approx(2 * 2 / 2**7) and table_["differs"].tolist() == [True, False]


def test_reading_of_invented_numbers():
    row_ = lambda d, low, high: {"difference": d, "low": low, "high": high}
    made_ = pd.DataFrame(
        {"mask_minus_whole": row_(0.1, 0.02, 0.18), "mask_minus_box": row_(0, -0.02, 0.02), "decoys_minus_true": row_(-0.05, -0.08, -0.01)}
    ).T
    fits_ = {"mask": 0.95, "whole": 0.4}
    scores_ = {"mask": {"accuracy_binary": 0.96}, "whole": {"accuracy_binary": 0.88}}
    text_ = ablation_in_words(scores_, made_, made_, {"true": {"accuracy_binary": 1.0, "accuracy": 0.5}}, fits_)
    assert text_[0].endswith("by +10.0 points [+2.0, +18.0], zero lies outside: it helps.")
    assert text_[1] == "Of this, +8.0 points (80% of it) sit in tumour against none, and +2.0 in naming the tumour."
    assert text_[5].endswith("true box tells tumour from none in 100.0% of the scans, and gets 50.0% of four classes right.")
    assert text_[3].startswith(
        "On its own training scans the F1 is 0.40 with whole scans and 0.95 with cut-out lesions. Whole scans have hardly"
    )
    assert text_[4].endswith("leaving out what surrounds it changes accuracy by +0.0 points [-2.0, +2.0], zero lies inside.")
    assert text_[6].endswith("-5.0 points [-8.0, -1.0], zero lies outside: up to that much, the missing box had given away.")
    unclear_ = pd.DataFrame({"mask_minus_whole": row_(0.01, -0.02, 0.04), "mask_minus_box": row_(0, 0, 0)}).T
    text_ = ablation_in_words(scores_, unclear_, unclear_, {}, fits_)
    assert len(text_) == 5 and text_[0].endswith("zero lies inside: these scans do not decide.") and "of it" not in text_[1]
    harm_ = ablation_in_words(scores_, unclear_ - 0.1, unclear_, {}, fits_)
    assert harm_[0].endswith("it harms.")
