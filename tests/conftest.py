"""Shared by all tests: the order in which the two frameworks are imported, and an executed smoke run."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import matplotlib
import pandas as pd
import pytest

import lightning  # noqa: F401  torch's side first: TensorFlow imported before Triton ends the process (see nbs/40_pipeline.ipynb)

matplotlib.use("Agg")
ROOT = Path(__file__).resolve().parent.parent
SETTINGS = ("DATA", "PROFILE", "LIMIT", "SEED", "SEEDS", "OVER", "SPEED", "LAUNCH", "REPORTS", "RUNS", "NB", "PARAMS", "VENV", "PYTHON")
SETTINGS += ("OMP_NUM_THREADS",)  # Ultralytics sets it in the process of the tests when it is imported; a user's shell has none
TIMES = {"minutes", "ms_alone", "ms_batch"}  # columns of tables that differ between any two runs
PARTS = ("nbs", "brain_mri", "Makefile", "settings.ini", "setup.py", "requirements.lock", "environment.yml")


def pytest_configure(config):
    """Tests that `make test` leaves out, each with a make target of its own."""
    config.addinivalue_line("markers", "slow: runs the smoke profile many times over (make test-slow)")
    config.addinivalue_line("markers", "slurm: needs root and Debian's slurm-wlm and munge (make test-slurm)")


class Project:
    """A copy of the project in a folder of its own, with the environment of the running tests."""

    def __init__(self, root: Path):
        self.root = root
        for name in PARTS:
            source, target = ROOT / name, root / name
            shutil.copytree(source, target) if source.is_dir() else shutil.copy2(source, target)
        (root / ".venv").symlink_to(sys.prefix)  # whatever environment the tests run in, make shall use it and not touch it
        (root / ".ready").touch()

    def command(self, *arguments: str) -> dict:
        """How to run make in the copy, as arguments of subprocess.run or Popen; errors go where the output goes."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("BRAIN_MRI_", "MAKE", "MFLAGS")) and k not in SETTINGS}
        pipes = dict(text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return dict(args=["make", "READY=.ready", *arguments], cwd=self.root, env=environment) | pipes

    def make(self, *arguments: str) -> subprocess.CompletedProcess:
        """Run make in the copy; output and errors come back as one text in `stdout`."""
        return subprocess.run(**self.command(*arguments))


def results(reports: Path) -> dict[str, str]:
    """Predictions to the letter, and tables without the columns that hold times."""
    predictions = {file.name: file.read_text() for file in (reports / "predictions").glob("*.csv")}
    tables = {file.name: pd.read_csv(file, dtype=str) for file in (reports / "tables").glob("*.csv")}
    return predictions | {name: table.drop(columns=TIMES & set(table)).to_csv() for name, table in tables.items()}


def assert_same(one: Path, other: Path) -> None:
    """Two reports have the same predictions and tables."""
    first, second = results(one), results(other)
    assert set(first) == set(second) and {"table3.csv", "table4.csv", "10_yolov8.csv"} <= set(first)
    assert [name for name in first if first[name] != second[name]] == []


@pytest.fixture(scope="session")
def project(tmp_path_factory) -> Project:
    """A copy of the project in which nothing has run."""
    return Project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="session")
def smoke(tmp_path_factory) -> Project:
    """A copy of the project in which `make reproduce PROFILE=smoke` has run; `smoke.seconds` is how long it took."""
    project, start = Project(tmp_path_factory.mktemp("smoke")), time.monotonic()
    done = project.make("reproduce", "PROFILE=smoke")
    assert done.returncode == 0, done.stdout
    project.seconds, project.reports = time.monotonic() - start, project.root / "reports" / "smoke"
    return project
