"""A real Slurm of two nodes on this machine, for tests: one controller and two daemons, without a service manager."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

_CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
AuthType=auth/none
CredType=cred/none
AuthInfo=cred_expire=5
SlurmUser=root
SlurmdUser=root
StateSaveLocation={state}/state
SlurmdSpoolDir={state}/spool-%n
SlurmctldPidFile={state}/slurmctld.pid
SlurmdPidFile={state}/slurmd-%n.pid
SlurmctldLogFile={state}/slurmctld.log
SlurmdLogFile={state}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=2,batch_sched_delay=0,bf_interval=2,sched_min_interval=0
SlurmdParameters=config_overrides
ReturnToService=2
JobRequeue=1
KillWait=5
PropagateResourceLimits=NONE
NodeName={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2 RealMemory=4000
NodeName=zz-other NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2 RealMemory=4000
PartitionName=main Nodes={host},zz-other Default=YES MaxTime=60 State=UP
"""


def missing() -> str:
    """Why there can be no Slurm here; "" if there can."""
    programs = [name for name in ("slurmctld", "slurmd", "sbatch", "srun") if shutil.which(name) is None]
    if programs:
        return f"no {', '.join(programs)} on this machine (Debian: slurmctld slurmd slurm-client)"
    if os.getuid() != 0:
        return "a Slurm of one's own needs root"
    if not list(Path("/usr/lib").glob("**/slurm*/auth_none.so")):
        return "this Slurm has no auth/none"
    try:
        socket.gethostbyname(socket.gethostname())
    except OSError:
        return "this machine's own name has no address"
    return ""


@contextlib.contextmanager
def running(state: Path):
    """Within its context a Slurm runs, with its state in a directory; yields the variables that lead to it."""
    (state / "state").mkdir(parents=True)
    with contextlib.ExitStack() as sockets:
        free = [sockets.enter_context(socket.socket()) for _ in range(3)]
        for one in free:
            one.bind(("127.0.0.1", 0))
        ports = [one.getsockname()[1] for one in free]
    path = state / "slurm.conf"
    host = socket.gethostname().split(".")[0]
    path.write_text(_CONFIGURATION.format(host=host, ports=ports, state=state))
    env = os.environ | {"SLURM_CONF": str(path)}
    # JAX asks for the first node by its name, which has to have an address; nobody asks for the other.
    daemons = [["slurmctld", "-D", "-c"], *(["slurmd", "-D", "-N", node] for node in (host, "zz-other"))]
    quiet = subprocess.DEVNULL
    processes = [subprocess.Popen(daemon, env=env, stdout=quiet, stderr=quiet) for daemon in daemons]
    try:
        deadline = time.monotonic() + 30
        while _output(env, "sinfo", "-h", "-N", "-t", "idle", "-o", "%N").count("\n") < 2:
            alive = all(process.poll() is None for process in processes)
            assert alive and time.monotonic() < deadline, (state / "slurmctld.log").read_text()[-2000:]
            time.sleep(0.2)
        yield {"SLURM_CONF": str(path)}
    finally:
        subprocess.run(["scancel", "--quiet", "--user", "root"], env=env, check=False, capture_output=True)
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()


def _output(env: dict[str, str], *command: str) -> str:
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False).stdout
