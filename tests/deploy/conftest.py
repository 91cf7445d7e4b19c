"""The whole deployment on a machine that is deployed already, with all that Ansible can say."""

import pytest
from machine import Machine
from plays import Play, play


@pytest.fixture(scope="session")
def whole_run(machine: Machine) -> Play:
    """Run it once, at the highest verbosity that anybody uses."""
    assert machine
    return play("site", "-vvv", "--diff")
