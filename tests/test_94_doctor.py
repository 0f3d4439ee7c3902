"""Tests of nbs/94_doctor.ipynb, generated from its test cells. Edit the notebook, then run `make export`."""

import sys
import tempfile
from pathlib import Path

import pytest

from brain_mri.data import tiny_data
from brain_mri.doctor import (
    check_data, check_disk, check_framework, check_kernel, check_memory, check_packages, check_python,
    check_weights,
)


def test_wrong_versions_and_missing_kernels_are_named_with_the_mend():
    with tempfile.TemporaryDirectory() as folder_:
        (Path(folder_) / "requirements.lock").write_text("pandas==0.1\nno-such-package==1.0\npackaging>=1\n")
        check_ = check_packages(Path(folder_))
    assert (
        not check_.ok
        and check_.found.startswith("1 of 3 as in requirements.lock; pandas ")
        and "no-such-package none instead of 1.0" in check_.found
    )
    assert "pip install -r requirements.lock" in str(check_)
    check_ = check_kernel("no-such-kernel")
    assert not check_.ok and check_.found == "no kernel no-such-kernel" and check_.mend.endswith("--name no-such-kernel")
    assert check_python().ok == (sys.version_info[:2] == (3, 11))


def test_a_full_or_read_only_disk_fails():
    with tempfile.TemporaryDirectory() as folder_:
        assert check_disk(Path(folder_), 0).ok
        check_ = check_disk(Path(folder_), 1e9)
        assert not check_.ok and "make room: a run should find 1e+09 GB" in str(check_)
        (Path(folder_) / "file").touch()
        check_ = check_disk(Path(folder_) / "file" / "runs")
        assert not check_.ok and check_.found.startswith("cannot write to")
    assert not check_memory(1e9).ok and check_memory(0).ok


def test_a_framework_that_crashes_is_one_line():
    check_ = check_framework("torch", "import os; os.abort()")
    assert not check_.ok and check_.found == "cannot be imported: signal 6"
    assert (
        check_framework("torch", "import no_such_module").found == "cannot be imported: ModuleNotFoundError: No module named 'no_such_module'"
    )
    answer_ = "print('noise'); print('[\"1.0\", []]')"
    assert check_framework("torch", answer_).ok and not check_framework("tensorflow", answer_, card=True).ok


def test_data_are_counted_and_what_is_missing_is_said():
    with tempfile.TemporaryDirectory() as folder_, pytest.MonkeyPatch.context() as patch_:
        patch_.setenv("BRAIN_MRI_WEIGHTS", folder_)
        assert [check_.ok for check_ in check_data(Path(folder_))][:2] == [False, False]
        checks_ = check_weights("paper")
        assert len(checks_) > 9 and not any(check_.ok for check_ in checks_) and checks_[0].found == "yolov8n.pt (6.5 MB): missing"
        assert checks_[0].mend == "make weights PROFILE=paper" and not check_weights("none")[0].ok
        checks_ = check_data(tiny_data(Path(folder_) / "data"))
        assert all(check_.ok for check_ in checks_) and "train" in checks_[0].found and "left out" in checks_[1].found
