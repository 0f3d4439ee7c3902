"""Tests of nbs/93_rehearsal.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import json
import tempfile
from pathlib import Path

import numpy as np
import torch
import yaml
from torch import nn

from brain_mri.data import BOXES, LABELS, PAPER_COUNTS
from brain_mri.rehearsal import (
    SLICES, convolution_operations, forward_operations, hours, node_table, training_operations, work_table,
    write_overlay,
)
from brain_mri.reports import project_root
from brain_mri.runner import Node, checked, read_profile


def test_counted_operations_of_a_convolution_agree_with_the_formula():
    layer_ = nn.Conv2d(3, 8, 5, padding=2)
    assert forward_operations(lambda: layer_(torch.zeros(1, 3, 16, 16))) == convolution_operations(5, 3, 8, 16) == 2 * (5 * 5 * 3) * 8 * 16 * 16


def test_a_training_image_costs_three_forward_passes():
    assert training_operations(10, 100) == 3000 and training_operations(10, 100, 20, 2, 1) == 10 * (600 + 100 + 60)
    assert hours(36e15, 10) == 1


def test_every_change_is_of_a_parameter_and_fits_every_profile():
    root_ = project_root()
    changes_ = yaml.safe_load((root_ / "nbs" / "rehearsal.yaml").read_text(encoding="utf-8"))
    for profile_ in ("smoke", "demo", "laptop", "paper"):
        values_ = read_profile(root_, profile_)["parameters"]
        for notebook_, over_ in changes_.items():
            after_ = checked(root_ / "nbs" / f"{notebook_}.ipynb", values_.get(notebook_, {}) | over_)
            assert after_.get("weights", "scratch") == "scratch" or notebook_ == "20_sam"
    with tempfile.TemporaryDirectory() as folder_:
        file_ = write_overlay(root_, "laptop", Path(folder_))
        assert yaml.safe_load(file_.read_text()) == changes_  # a small Segment Anything needs no file


def test_failed_and_missing_notebooks_are_told_apart():
    with tempfile.TemporaryDirectory() as folder_:
        node_ = Node("10_a", "smoke", Path(folder_))
        (node_.root / "nbs").mkdir()
        (node_.root / "nbs" / "graph.mk").write_text("10_a:\n11_b:\n12_c:\n")
        for file_, text_ in (
            (node_.stamp_file, json.dumps({"fingerprint": {}, "files": {}, "result": "r", "seconds": 2, "peak_memory_gb": 0.5})),
            (node_.sibling("11_b").failed, "no memory\nx"),
        ):
            file_.parent.mkdir(parents=True, exist_ok=True)
            file_.write_text(text_)
        table_ = node_table(node_)
        assert table_.state.tolist() == ["done", "failed", "not run"] and table_.why.tolist() == ["", "no memory", ""]
        assert table_.seconds[0] == 2 and table_.peak_gb[0] == 0.5


def test_the_full_run_is_counted_from_images_epochs_and_operations():
    parameters_ = {"00_data": {"val_fraction": 0.5}, "10_yolov8": {"epochs": 2, "weights": "pretrained"}, "20_sam": {"weights": "pretrained"}}
    parameters_["33_vgg16"] = {"epochs": 1, "frozen_epochs": 1}
    table_ = work_table({"10_yolov8": 1e9, "20_sam": 2e9, "33_vgg16": 1e9}, parameters_, "10_yolov8", speed=1).set_index("notebook")
    boxes_, labels_ = (sum(PAPER_COUNTS[name_]["train"]) for name_ in (BOXES, LABELS))
    assert np.isclose(table_.hours["10_yolov8"] * 3.6e15, 1e9 * 4 * boxes_, rtol=1e-3)  # 2 epochs, half of the images three times, half once
    assert np.isclose(table_.hours["33_vgg16"] * 3.6e15, 1e9 * 3 * labels_, rtol=1e-3) and table_.epochs["33_vgg16"] == 2
    assert table_.images["20_sam"] == SLICES and table_.giga_operations["21_lesions"] == 3 and table_.images["21_lesions"] > labels_
