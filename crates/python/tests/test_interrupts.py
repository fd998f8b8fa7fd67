"""Ctrl-C, handlers of signals, and forks."""

import os
import signal
import subprocess
import sys

import pytest

NET = """
import os, signal, sys, threading, time
import numpy as np
import ebm_anatomy as ebm
from ebm_anatomy import layers
rng = np.random.default_rng(1)
net = ebm.Net([layers.Conv2d(rng.normal(size=(8, 1, 3, 3)), padding=1), layers.SiLU(),
               layers.Linear(rng.normal(size=(1, 8 * 256)))], (1, 16, 16), threads=2)
states = rng.normal(size=(64, 1, 16, 16))
"""

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and forks are those of POSIX")


def python(program):
    return subprocess.Popen(
        [sys.executable, "-c", NET + program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("kernel", ["ula", "mala", "underdamped", "hmc"])
def test_ctrl_c_ends_chains_and_leaves_the_net_in_order(kernel):
    """The chains would take days; the test fails if they have not ended a minute after the signal."""
    child = python(f"""
print("ready", flush=True)
try:
    net.sample(states, 10**12, 1e-3, seed=1, kernel="{kernel}")
except KeyboardInterrupt:
    after, _ = net.sample(states, 3, 1e-3, seed=1, kernel="{kernel}")
    print("heard", np.isfinite(after).all(), flush=True)
""")
    assert child.stdout.readline() == "ready\n"
    try:
        # The first one may come before the chains have begun.
        child.wait(1)
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert (out, err, child.returncode) == ("heard True\n", "", 0)


def test_a_handler_that_does_not_raise_lets_chains_go_on():
    child = python("""
seen = []
signal.signal(signal.SIGUSR1, lambda *_: seen.append(1))
timer = threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGUSR1))
timer.start()
while not seen:
    net.sample(states, 20, 1e-3, seed=1)
print("went on")
""")
    assert child.communicate(timeout=60) == ("went on\n", "")


def test_a_handler_cannot_use_the_net_that_it_interrupts():
    child = python("""
def handler(*_):
    try:
        net.energy(states)
    except RuntimeError as error:
        raise SystemExit(str(error))
signal.signal(signal.SIGUSR1, handler)
threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGUSR1)).start()
net.sample(states, 10**12, 1e-3, seed=1)
""")
    _, err = child.communicate(timeout=60)
    assert "use another net in the handler" in err and child.returncode == 1


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_net_works_in_a_forked_process():
    child = python("""
import warnings
warnings.simplefilter("ignore")
expected = net.sample(states, 3, 1e-3, seed=1)[0]
process = os.fork()
if process == 0:
    same = np.array_equal(net.sample(states, 3, 1e-3, seed=1)[0], expected)
    os._exit(0 if same and ebm.noise((200, 1000), 1).any() else 3)
print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
""")
    assert child.communicate(timeout=60) == ("0\n", "")
