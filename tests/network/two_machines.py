#!/usr/bin/env python3
"""Trains over a network: two namespaces of the kernel's stand for two machines, with a name, a
network stack and a rank each, and TCP over the one cable between them. Wants root; where that or
something else is missing it says so and exits with 77.

usage: two_machines.py TARN"""
import collections
import contextlib
import fcntl
import filecmp
import os
import pathlib
import random
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time

CONFIG = """[task]
sequence_length = 16

[model]
layers = 1
heads = 2
head_dim = 8
dropout = 0.1

[train]
batch_size = 8
shards = 8
eval_every = 10
eval_batches = 2
checkpoint_every = 7
log_every = 1
"""
SKIPPED = 77
TIMEOUT = 3  # run.timeout, in seconds
# After run.timeout: 5 s that MPI may take to end the others, 3 s in which TCP gives up (RETRIES), and
# what a busy machine takes for both.
MARGIN = 20
# How often TCP sends again what nobody answers. With Linux's 15 mpirun waits for a quarter of an hour
# for a machine that is gone, after the ranks have ended.
RETRIES = 3
DELAY, LOSS, SEED = 0.05, 0.01, 1


def sh(*words, **more):
    return subprocess.run([str(word) for word in words], check=True, **more)


class Cable:
    """Two interfaces of the kernel's that are joined: a fast cable that loses nothing."""

    def __init__(self, ends, namespaces):
        self.ends, self.namespaces = ends, namespaces
        sh("ip", "link", "add", ends[0], "netns", namespaces[0], "type", "veth", "peer", "name", ends[1],
           "netns", namespaces[1])

    def set(self, state):
        sh("ip", "-n", self.namespaces[1], "link", "set", self.ends[1], state)

    def close(self):
        pass


class SlowCable(threading.Thread):
    """Two interfaces whose frames this program carries, each late and some never: what netem does,
    for kernels that have none."""

    def __init__(self, ends, namespaces):
        super().__init__()
        self.files, self.carried, self.lost, self.closing = [], 0, 0, False
        for end, namespace in zip(ends, namespaces):
            file = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            tap_without_header = 0x1002
            fcntl.ioctl(file, 0x400454CA, struct.pack("16sH22x", end.encode(), tap_without_header))
            sh("ip", "link", "set", end, "netns", namespace)
            self.files.append(file)
        self.start()

    def run(self):
        chance = random.Random(SEED)
        under_way = collections.deque()  # when it arrives, where, and the frame
        while not self.closing:
            wait = max(0, under_way[0][0] - time.monotonic()) if under_way else 0.1
            for file in select.select(self.files, [], [], wait)[0]:
                frame = os.read(file, 1 << 16)
                self.carried += 1
                if chance.random() < LOSS:
                    self.lost += 1
                    continue
                other = self.files[1 - self.files.index(file)]
                under_way.append((time.monotonic() + DELAY, other, frame))
            while under_way and under_way[0][0] <= time.monotonic():
                _, file, frame = under_way.popleft()
                with contextlib.suppress(OSError):  # of an interface that is not up yet
                    os.write(file, frame)

    def close(self):
        self.closing = True
        self.join()
        for file in self.files:
            os.close(file)


class TwoMachines:
    """Two namespaces with a cable between them."""

    def __init__(self, make_cable, folder):
        unique = os.getpid()
        self.names = [f"tarn{unique}a", f"tarn{unique}b"]
        self.addresses = ["10.77.0.1", "10.77.0.2"]
        ends = [f"tn{unique}a", f"tn{unique}b"]
        self.cable = None
        self.agent = folder / "agent"
        for name in self.names:
            sh("ip", "netns", "add", name)
        try:
            self.cable = make_cable(ends, self.names)
            for name, end, address in zip(self.names, ends, self.addresses):
                sh("ip", "-n", name, "addr", "add", f"{address}/24", "dev", end)
                sh("ip", "-n", name, "link", "set", end, "up")
                sh("ip", "-n", name, "link", "set", "lo", "up")
                sh("ip", "netns", "exec", name, "sh", "-c", f"echo {RETRIES} >/proc/sys/net/ipv4/tcp_retries2")
        except BaseException:
            self.close()
            raise
        # In place of ssh: mpirun calls it with a host and a command.
        self.agent.write_text(f"""#!/bin/sh
[ "$1" = {self.addresses[1]} ] || exit 255
shift
{self.shell_of(1)} "$*"
""")
        self.agent.chmod(0o755)

    def shell_of(self, machine):
        """A shell that runs its next word there, under a host's name of its own."""
        name = self.names[machine]
        return f"exec ip netns exec {name} unshare --uts sh -c 'hostname {name}; eval \"$1\"' shell"

    def start(self, tarn, arguments, log):
        command = ["mpirun", "--mca", "plm_rsh_agent", str(self.agent), "--mca", "btl", "tcp,self",
                   "--bind-to", "none", "--host", ",".join(f"{address}:1" for address in self.addresses),
                   "-n", "2", str(tarn), *map(str, arguments)]
        environment = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
        return subprocess.Popen(["sh", "-c", f"{self.shell_of(0)} \"$@\"", "sh",
                                 "exec " + " ".join(command)],
                                env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def processes(self):
        return [int(process) for name in self.names
                for process in subprocess.run(["ip", "netns", "pids", name], capture_output=True,
                                              text=True, check=True).stdout.split()]

    def close(self):
        for process in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        if self.cable:
            self.cable.close()
        for name in self.names:
            sh("ip", "netns", "del", name)


class Test:
    def __init__(self, tarn, folder):
        self.tarn, self.folder = tarn, folder
        self.config = folder / "config.toml"
        self.config.write_text(CONFIG)

    def arguments(self, run, steps, *more):
        return ["train", self.config, "--out", self.folder / run, "--set", f"train.steps={steps}", *more]

    def train_alone(self, run, steps, *more):
        sh(self.tarn, *self.arguments(run, steps, *more), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    @contextlib.contextmanager
    def started(self, machines, run, steps, *more):
        with open(self.folder / f"{run}.log", "wb") as log:
            yield machines.start(self.tarn, self.arguments(run, steps, *more), log)

    def said(self, run):
        return (self.folder / f"{run}.log").read_text(errors="replace")

    def train(self, machines, run, steps, *more):
        with self.started(machines, run, steps, *more) as process:
            code = process.wait(timeout=240)
        self.check(code == 0, f"{run} ended with {code}:\n{self.said(run)}")

    def latest(self, run):
        checkpoints = self.folder / run / "checkpoints"
        return checkpoints / (checkpoints / "latest").read_text().strip()

    def steps(self, run):
        log = self.folder / run / "metrics.jsonl"
        return len(log.read_text().splitlines()) if log.exists() else 0

    def check(self, holds, otherwise):
        if not holds:
            sys.exit(otherwise)

    def check_same(self, run, other):
        files = [(self.folder / run / "metrics.jsonl", self.folder / other / "metrics.jsonl")]
        for name in ("model.safetensors", "optimizer.safetensors", "state.json"):
            files.append((self.latest(run) / name, self.latest(other) / name))
        for one, two in files:
            self.check(filecmp.cmp(one, two, shallow=False), f"{one} and {two} differ")

    def a_cable(self):
        with contextlib.closing(TwoMachines(Cable, self.folder)) as machines:
            self.train(machines, "cable", 30)
        self.check_same("alone", "cable")
        print("a cable: the bytes of one process")

    def a_slow_cable(self):
        start = time.monotonic()
        with contextlib.closing(TwoMachines(SlowCable, self.folder)) as machines:
            self.train(machines, "slow", 30)
            cable = machines.cable
        self.check_same("alone", "slow")
        self.check(cable.lost > 0, f"none of {cable.carried} frames was lost")
        print(f"a cable of {DELAY * 1000:.0f} ms that lost {cable.lost} of {cable.carried} frames: the "
              f"bytes of one process, after {time.monotonic() - start:.0f} s")

    def a_cut(self):
        timeout = ("--set", f"run.timeout={TIMEOUT}")
        with contextlib.closing(TwoMachines(Cable, self.folder)) as machines:
            with self.started(machines, "cut", 1_000_000, *timeout) as process:
                limit = time.monotonic() + 60
                while self.steps("cut") < 40 and process.poll() is None and time.monotonic() < limit:
                    time.sleep(0.01)
                self.check(process.poll() is None and self.steps("cut") >= 40, self.said("cut"))
                machines.cable.set("down")
                cut = time.monotonic()
                try:
                    code = process.wait(timeout=TIMEOUT + MARGIN)
                except subprocess.TimeoutExpired:
                    self.check(False, f"mpirun still runs {TIMEOUT + MARGIN} s after the cut:\n{self.said('cut')}")
            while machines.processes() and time.monotonic() < cut + TIMEOUT + MARGIN:
                time.sleep(0.1)
            self.check(not machines.processes(), f"left behind: {machines.processes()}")
            seconds = time.monotonic() - cut
            self.check(code > 0, f"it ended with {code}")
            self.check(f"did not answer for {TIMEOUT} s" in self.said("cut"), self.said("cut"))
            machines.cable.set("up")
            before = int(self.latest("cut").name.removeprefix("step_"))
            end = before + 20
            self.train(machines, "cut", end, *timeout, "--resume")
        self.train_alone("undisturbed", end, *timeout)
        self.check_same("undisturbed", "cut")
        print(f"a cut: exit code {code}, and all processes gone {seconds:.1f} s after it with a run.timeout "
              f"of {TIMEOUT} s; resumed from step {before}, the bytes of one process")


def reason_to_skip(tarn):
    for tool in ("ip", "unshare", "mpirun"):
        if shutil.which(tool) is None:
            return f"there is no {tool}"
    if not (tarn.parent / "tarn_mpi.so").exists():
        return "this build has no MPI"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "/dev/net/tun cannot be opened"
    name = f"tarn{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    if made.returncode != 0:
        return f"no namespace can be made: {made.stderr.strip()}"
    sh("ip", "netns", "del", name)
    return None


def main():
    tarn = pathlib.Path(sys.argv[1]).resolve()
    reason = reason_to_skip(tarn)
    if reason:
        print(f"skipped: {reason}")
        sys.exit(SKIPPED)
    sys.stdout.reconfigure(line_buffering=True)
    os.environ["OMP_NUM_THREADS"] = "1"  # which a checkpoint notes
    with tempfile.TemporaryDirectory() as folder:
        test = Test(tarn, pathlib.Path(folder))
        test.train_alone("alone", 30)
        test.a_cable()
        test.a_slow_cable()
        test.a_cut()


if __name__ == "__main__":
    main()
