"""The options with which the page is served."""

from __future__ import annotations

import argparse

import pytest

from space.cli import add_arguments


@pytest.mark.parametrize("port", ["0", "65536", "9" * 5000, "-1", "\u0663", "kazoo"])
def test_a_port_that_there_is_not_is_refused(port, capsys):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert parser.parse_args(["--port", "65535"]).port == 65535
    with pytest.raises(SystemExit):
        parser.parse_args([f"--port={port}"])
    assert "is no port: give one from 1 to 65535" in capsys.readouterr().err
