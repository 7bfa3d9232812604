"""An executor without processes: trainings take the time that a fake clock says, and leave what real ones leave."""

import heapq
import json
import random
from pathlib import Path

from googlenet_jax.runs.progress import read_progress
from googlenet_jax.sweep.attempts import CRASHED, DONE, Outcome

STEPS = 10.3  # an epoch, which need not end with a batch


class FakeExecutor:
    """Trains by the clock on so many workers.

    Args:
      workers: trainings at a time.
      quality: (id, epoch) -> value of val.top1.
      fails: (id, attempt, until) -> what becomes of the attempt, None for all well.
      seed: of how long trainings take.
    """

    lasting = False

    def __init__(self, workers, quality, fails=lambda id, attempt, until: None, seed=0):
        self.workers, self.quality, self.fails = workers, quality, fails
        self.rng, self.now, self.heap, self.number = random.Random(seed), 0.0, [], 0
        self.started, self.attempts = [], {}
        self.on_event = lambda: None

    def adopt(self, jobs):
        return []

    def free(self):
        return self.workers - len(self.heap)

    def start(self, jobs):
        assert len(jobs) <= self.free(), "more were started than there are workers"
        running = {job.id for _, _, job in self.heap}
        for job in jobs:
            assert job.id not in running, f"{job.id} runs twice"
            running.add(job.id)
            self.started.append((job.id, job.until))
            self.number += 1
            heapq.heappush(self.heap, (self.now + self.rng.uniform(0.5, 1.5), self.number, job))

    def wait(self):
        self.now, _, job = heapq.heappop(self.heap)
        self.on_event()
        number = self.attempts[job.id] = self.attempts.get(job.id, 0) + 1
        outcome = self.fails(job.id, number, job.until)
        if outcome is None:
            assert not read_progress(job.workdir).reached(job.until), "what was reached is trained again"
            leave(job.workdir, job.until, self.quality(job.id, job.until))
            outcome = Outcome(DONE)
        return [(job, outcome)]

    def running(self):
        return len(self.heap)

    def stop(self):
        self.heap = []


def leave(run: Path, epoch: float, top1: float) -> None:
    """What a training up to an epoch leaves in its run directory, as far as sweeps look at it."""
    step = round(epoch * STEPS)
    meta = run / "checkpoints" / str(step) / "meta"
    meta.mkdir(parents=True)
    (meta / "metadata").write_text(json.dumps({"epoch": step / STEPS, "step": step}))
    epoch = step / STEPS
    line = {"step": step, "epoch": round(epoch, 4), "split": "val", "top1": top1, "loss": 1 - top1, "seconds": epoch}
    with (run / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")


LOST = Outcome(CRASHED, "its machine was lost")
