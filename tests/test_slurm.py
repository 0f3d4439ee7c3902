"""Through a real Slurm with two nodes: the same results as without, and what happens when a node goes down. Needs root."""

import contextlib
import os
import re
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest
from conftest import Project, assert_same

from brain_mri.runner import read_graph

MISSING = [
    name for name in ("munged", "slurmctld", "slurmd", "srun", "sinfo") if not shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
]
pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(os.geteuid() != 0, reason="a Slurm of our own needs root"),
    pytest.mark.skipif(bool(MISSING), reason=f"needs Debian's slurm-wlm and munge, got no {', '.join(MISSING)}"),
]
THROUGH = ("-j", "11", "reproduce", "PROFILE=smoke", "LAUNCH=srun -n1 -c2")


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """The folder of a running Slurm, which SLURM_CONF points to; it stops when its standard input closes, even when pytest is killed."""
    folder = tmp_path_factory.mktemp("slurm")
    command = [Path(__file__).with_name("slurm.sh"), folder, "sh", "-c", "echo started; cat"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        if process.stdout.readline() != "started\n":
            pytest.fail(process.stderr.read())
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
            yield folder
        process.stdin.close()


@pytest.fixture(scope="module")
def remote(slurm, tmp_path_factory) -> Project:
    """A copy of the project whose smoke run went through Slurm; `remote.jobs` are the jobs of that run."""
    project = Project(tmp_path_factory.mktemp("remote"))
    done = project.make(*THROUGH)
    assert done.returncode == 0, done.stdout
    project.reports, project.jobs = project.root / "reports" / "smoke", ended_jobs(slurm)
    return project


def ended_jobs(slurm: Path) -> pd.DataFrame:
    """Slurm's own list of the jobs that ended; it is written a moment after srun returns."""
    for _ in range(50):
        if not subprocess.run(["squeue", "--noheader"], check=True, capture_output=True).stdout:
            break
        time.sleep(0.2)
    return pd.DataFrame([dict(re.findall(r"(\w+)=(\S*)", line)) for line in (slurm / "jobs.txt").read_text().splitlines()])


def processes_of(node: str) -> list[psutil.Process]:
    """The processes of the jobs on a node."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        try:
            found += [process] if process.environ().get("SLURMD_NODENAME") == node else []
        except psutil.Error:
            pass  # ended meanwhile
    return found


def pull_the_plug(slurm: Path, node: str) -> None:
    """As soon as a kernel runs on a node, kill all of the node's processes at once, as a power cut would."""
    while not any("ipykernel_launcher" in " ".join(process.info["cmdline"] or []) for process in processes_of(node)):
        time.sleep(0.2)
    jobs = processes_of(node)
    starters = {parent for process in jobs if (parent := process.parent()) and parent.name().startswith("slurmstepd")}
    for process in [psutil.Process(int((slurm / f"{node}.pid").read_text())), *starters, *jobs]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def test_every_notebook_was_a_job_of_its_own_and_both_nodes_worked_at_once(remote):
    assert len(remote.jobs) == len(read_graph(remote.root)) and set(remote.jobs.JobState) == {"COMPLETED"}
    assert set(remote.jobs.WorkDir) == {str(remote.root)}
    one, two = (jobs for _, jobs in remote.jobs.groupby("NodeList"))
    assert any(((two.StartTime < job.EndTime) & (two.EndTime > job.StartTime)).any() for job in one.itertuples())


def test_a_run_through_slurm_has_the_predictions_and_tables_of_a_local_one(smoke, remote):
    assert_same(smoke.reports, remote.reports)


def test_jobs_of_a_lost_node_fail_are_named_and_run_again(slurm, smoke, remote):
    for name in ("14_detectors", "22_sam_prompts", "34_efficientnetv2_b3"):  # these run again, and all that needs them
        (remote.root / "runs" / "smoke" / "stamps" / f"{name}.json").unlink()
    thread = threading.Thread(target=pull_the_plug, args=(slurm, "n2"), daemon=True)
    thread.start()
    done = remote.make(*THROUGH)
    assert not thread.is_alive(), done.stdout
    lost = ended_jobs(slurm).query("JobState == 'NODE_FAIL'")
    assert done.returncode != 0 and len(lost) == 1 and set(lost.NodeList) == {"n2"}
    failed = re.findall(r"FAILED (\w+): expected a result", done.stdout)
    assert len(failed) == 1 and f"run it again: make {failed[0]} PROFILE=smoke" in done.stdout
    assert f"{failed[0]}] Error 1" in done.stdout, "make itself knows, and starts nothing that needs the lost result"
    assert "STALE  50_tables" in done.stdout and "done in" in done.stdout, "the jobs that waited went on, on the other node"

    again = remote.make(*THROUGH)  # the node is still down
    assert again.returncode == 0 and f"All {len(read_graph(remote.root))} notebooks are fresh" in again.stdout, again.stdout
    assert len(ended_jobs(slurm).query("JobState == 'NODE_FAIL'")) == 1
    assert_same(smoke.reports, remote.reports)
