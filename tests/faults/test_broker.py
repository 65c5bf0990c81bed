"""The broker dies, restarts, stands still; the network between job and broker fails."""

import pytest

from benchmarks.faults.fault import Fault
from tests.faults.conftest import Trial
from tests.running_stack import EXACTLY_ONCE, THROUGH_LINK


@pytest.mark.manual
def test_broker_killed(trial: Trial) -> None:
    trial("broker killed", Fault("kill", "kafka"))


@pytest.mark.manual
def test_broker_restarted_cleanly(trial: Trial) -> None:
    trial("broker restarted", Fault("restart", "kafka"))


@pytest.mark.manual
@pytest.mark.parametrize("pause", [5, 30, 90])
def test_broker_paused(trial: Trial, pause: int) -> None:
    trial(f"broker paused {pause} s", Fault("pause", "kafka", for_s=pause), seconds=60 + pause)


@pytest.mark.manual
def test_broker_killed_while_lists_are_delivered_exactly_once(trial: Trial) -> None:
    trial("broker killed", Fault("kill", "kafka"), variables=EXACTLY_ONCE)


@pytest.mark.manual
def test_link_to_the_broker_is_cut_for_a_minute(trial: Trial) -> None:
    trial("link cut 60 s", Fault("cut", for_s=60), seconds=90, variables=THROUGH_LINK)


@pytest.mark.manual
def test_link_to_the_broker_is_slow(trial: Trial) -> None:
    trial("link 100 ms, 3 Mbit/s", Fault("slow", for_s=20), rate=50, seconds=50, users=500, variables=THROUGH_LINK)
