"""Kills at random moments: nothing is lost, and what is taken up again ends as if it had never been killed.

From the repository's root: python -m tests.robustness.kills --seed 0 --count 30 [--only NAME ...]
"""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "data")]

from robustness.jobs import Digest, Job, names_of, write_inputs  # noqa: E402

REMAINDER = ".leadline-"


def run_whole(job: Job, folder: Path) -> tuple[Digest, float]:
    """What a job makes that nobody disturbs, and how long it takes in seconds."""
    began = time.monotonic()
    assert _forked(job, folder, None) == 0 and job.digest(folder), "the undisturbed job fails"
    return job.digest(folder), time.monotonic() - began


def kill_and_go_on(job: Job, folder: Path, wanted: Digest, after_s: float) -> str:
    """Kill a job, look at what stands, let it go on, and look again.

    Args:
        job: the job.
        folder: a new folder.
        wanted: what it makes undisturbed.
        after_s: when to kill it.

    Returns:
        What is wrong; "" if nothing.
    """
    before: Digest = {}
    for _ in range(2):  # killed, it goes on, is killed again, and goes on
        _forked(job, folder, after_s)
        try:
            stands = job.digest(folder)
        except Exception as error:
            return f"after a kill: {type(error).__name__}: {error}"
        lost = before.keys() - stands.keys()
        changed = [name for name in stands if stands[name] != wanted.get(name)]
        if lost or (changed and not job.may_differ):
            return f"after a kill: lost {sorted(lost)}, not whole {changed}"
        before = stands
    if (code := _forked(job, folder, None)) != 0:
        return f"it does not go on: exit {code}"
    stands = job.digest(folder)
    different = [name for name in wanted.keys() | stands.keys() if wanted.get(name) != stands.get(name)]
    left = [path.name for path in folder.rglob(f"{REMAINDER}*")]
    return (f"different: {different} " if different else "") + (f"left: {left}" if left else "")


def _forked(job: Job, folder: Path, kill_after_s: float | None) -> int:
    """Run a job in a process of its own, which is killed if it takes longer; its exit code, or minus the signal."""
    folder.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        try:
            os._exit(job.run(folder))
        except BaseException:
            os._exit(99)
    if kill_after_s is not None:
        time.sleep(kill_after_s)
        os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main() -> int:
    """Print a line a job; 1 if anything was lost or ended otherwise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=30, help="of all jobs together; each is killed twice")
    parser.add_argument("--only", nargs="*")
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)
    num_wrong = 0
    with tempfile.TemporaryDirectory() as root:
        jobs = write_inputs(Path(root))
        chosen = names_of(jobs, arguments.only)
        for name in chosen:
            wanted, seconds = run_whole(jobs[name], Path(root, "whole", name))
            wrong = []
            for number in range(-(-arguments.count // len(chosen))):
                folder = Path(root, "killed", name, str(number))
                wrong.append(kill_and_go_on(jobs[name], folder, wanted, draw.uniform(0, seconds)))
                shutil.rmtree(folder)
            num_wrong += sum(map(bool, wrong))
            print(
                f"{name:18} {len(wrong)} times, each killed twice within {seconds:.1f} s",
                *filter(None, wrong),
                sep="\n    ",
            )
    print(f"{num_wrong} times something was lost or ended otherwise")
    return 1 if num_wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
