"""The machine that the faults happen to, and the table of what came of them."""

import re

import pytest
from machine import Machine
from machines import Machines
from table import Results


@pytest.fixture(scope="session")
def only_machine(all_of_them: Machines) -> Machine:
    """Faults of the profile lite: one machine with all parts, and a clock for all of them."""
    machines = list(all_of_them.by_name.values())
    if len(machines) != 1:
        pytest.fail(f"these faults need an inventory of one machine, this one has {len(machines)}")
    return machines[0]


@pytest.fixture(scope="session")
def results(only_machine: Machine) -> Results:
    """The table for as many partitions as the topic has."""
    said = only_machine.run(f"kafka-topics --describe --topic {only_machine.vars['kafka_topic']}")
    return Results(int(re.findall(r"PartitionCount:\s*(\d+)", said)[0]))
