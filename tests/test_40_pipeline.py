"""Tests of nbs/40_pipeline.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brain_mri.data import ImageError
from brain_mri.pipeline import Finding, STAGES, error_budget, scan_files, spots_pipeline


def test_stages_pass_on_what_they_found_and_say_what_went_otherwise():
    pipeline_ = spots_pipeline()
    bright_, black_ = np.full((64, 64), 255, np.uint8), np.zeros((32, 48), np.uint8)
    pipeline_.detector.threshold = 0.7
    first_, second_ = pipeline_([bright_, black_])
    assert first_.label == "meningioma" and first_.box.tolist() == [4, 4, 12, 12] and first_.mask.any() and first_.fallbacks == ()
    assert second_.label == "glioma" and second_.box is None and not second_.mask.any() and second_.fallbacks == ("nothing found",)
    assert second_.crop.shape == (16, 16) and list(first_.milliseconds) == list(STAGES) and pipeline_([]) == []
    pipeline_.detector.threshold = 0.5
    several_, unclear_ = pipeline_([bright_, black_])
    assert several_.fallbacks == ("several found",) and len(several_.boxes) == 2 and several_.scores.tolist() == [1.0, np.float32(0.6)]
    assert unclear_.fallbacks == ("no outline",) and unclear_.mask.any()


def test_given_boxes_and_outlines_take_the_place_of_found_ones():
    pipeline_, scan_ = spots_pipeline(), np.full((64, 64), 255, np.uint8)
    half_ = np.tile(np.arange(64) < 32, (64, 1))
    none_, given_ = pipeline_([scan_, scan_], boxes=[np.zeros((0, 4)), np.float32([[0, 0, 64, 64]])])
    assert none_.fallbacks == ("nothing found",) and given_.boxes.tolist() == [[0, 0, 32, 32]] and given_.mask.all()
    _, outlined_ = pipeline_([scan_, scan_], boxes=[np.zeros((0, 4)), np.float32([[0, 0, 64, 64]])], masks=[~half_, half_])
    assert outlined_.mask.mean() == 0.5 and outlined_.mask[:, :16].all()


def test_bad_files_are_handed_back_and_cost_no_other():
    with tempfile.TemporaryDirectory() as folder_:
        folder_ = Path(folder_)
        (folder_ / "deeper").mkdir()
        for name_ in ("a.png", "b.jpeg", "deeper/c.JPG"):
            Image.fromarray(np.full((40, 40), 200, np.uint8)).save(folder_ / name_)
        (folder_ / "bad.png").write_bytes(b"no image")
        (folder_ / "notes.txt").write_text("not looked at")
        files_ = scan_files([folder_])
        assert [f.name for f in files_] == ["a.png", "b.jpeg", "bad.png", "c.JPG"] and scan_files([files_[0]]) == files_[:1]
        answers_ = list(spots_pipeline().stream(files_, batch=2))
        assert [file.name for file, answer in answers_ if isinstance(answer, Finding)] == ["a.png", "b.jpeg", "c.JPG"]
        assert isinstance(answers_[2][1], ImageError)
        with pytest.raises(FileNotFoundError, match="expected a scan or a folder of scans at .*nowhere, found nothing"):
            scan_files([folder_ / "nowhere"])


def test_error_budget_by_hand():
    budget_ = error_budget(list("aaaaab"), list("abbbba"), list("aabbbb"), list("aaabab"))
    assert budget_ == dict(wrong=5, from_box=2, from_outline=2, from_name=1, right_by_luck=0)
    assert error_budget(list("ab"), list("ab"), list("ab"), list("bb"))["right_by_luck"] == 1
