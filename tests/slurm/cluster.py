"""A Slurm of one node on this machine, and runs through it."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

from tests.running import HOME, command, environment

HERE = Path(__file__).parent
MISSING = not all(map(shutil.which, ("slurmctld", "slurmd", "munged"))) or os.geteuid() != 0
OPTIONS = [
    "--profile", str(HOME / "workflow/profiles/slurm"), "--slurm-status-command", "squeue", "--slurm-no-account",
    "--slurm-init-seconds-before-status-checks", "2", "--seconds-between-status-checks", "2", "--latency-wait", "5",
]  # fmt: skip


class Cluster:
    """Started by `start`, ended by `stop`, both beside this file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        subprocess.run([HERE / "start", folder], check=True, timeout=300)
        os.environ["SLURM_CONF"] = str(folder / "slurm.conf")

    def stop(self) -> None:
        subprocess.run([HERE / "stop", self.folder], check=True, timeout=300)
        os.environ.pop("SLURM_CONF", None)

    def restart_controller(self, pause: float) -> None:
        """End the controller, wait, start it again: what happens when a head node reboots."""
        pid = int((self.folder / "slurmctld.pid").read_text())
        os.kill(pid, 15)
        while Path(f"/proc/{pid}").exists():
            time.sleep(0.1)
        time.sleep(pause)
        subprocess.run(["slurmctld", "-f", self.folder / "slurm.conf"], check=True, capture_output=True)

    def running(self) -> list[str]:
        """Ids of the jobs that run at this moment."""
        done = subprocess.run(["squeue", "-h", "-t", "R", "-o", "%A"], capture_output=True, text=True)
        return done.stdout.split()

    def begin(self, folder: Path, *arguments: str, config: dict) -> subprocess.Popen:
        """Start a run through the cluster in a folder of its own."""
        folder.mkdir(exist_ok=True)
        log = (folder / "printed.log").open("w")
        return subprocess.Popen(
            command(folder, *OPTIONS, *arguments, config=config),
            stdout=log, stderr=subprocess.STDOUT, cwd=folder, env=environment(),
        )  # fmt: skip

    def finish(self, process: subprocess.Popen, folder: Path) -> str:
        """Wait for a run that should succeed; returns what it printed."""
        code = process.wait(3600)
        printed = (folder / "printed.log").read_text()
        assert code == 0, printed[-6000:]
        return printed

    def wait_for_a_job(self, process: subprocess.Popen, folder: Path, rule: str) -> str:
        """The id of the first job of a rule that runs."""
        pattern = rf"rule {rule}:(?:(?!\nrule ).)*?SLURM jobid (\d+)"
        while process.poll() is None:
            submitted = re.findall(pattern, (folder / "printed.log").read_text(), re.S)
            if running := [job for job in submitted if job in self.running()]:
                return running[0]
            time.sleep(0.2)
        raise AssertionError((folder / "printed.log").read_text()[-4000:])

    def hold(self, process: subprocess.Popen, folder: Path, rule: str) -> None:
        """Stop the script of a rule of a run where it is: it will never end by itself."""
        start, end = str(folder / ".snakemake/scripts"), f".{rule}.py"
        while process.poll() is None:
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    words = path.read_bytes().decode(errors="replace").split("\0")
                    if any(word.startswith(start) and word.endswith(end) for word in words):
                        os.kill(int(path.parent.name), signal.SIGSTOP)
                        return
            time.sleep(0.05)
        raise AssertionError((folder / "printed.log").read_text()[-4000:])
