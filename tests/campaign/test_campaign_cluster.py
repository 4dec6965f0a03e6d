# SPDX-License-Identifier: Apache-2.0
"""The same command on a Ray cluster of two nodes, one of which dies; skipped where Ray is not installed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("mujoco")
pytest.importorskip("pyarrow")

from user_package import EPISODES, Campaign, environment

NODES = """
import sys
from ray.cluster_utils import Cluster

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
second = cluster.add_node(num_cpus=1)
cluster.wait_for_nodes()
print(cluster.address, flush=True)
for line in sys.stdin:
    cluster.remove_node(second, allow_graceful=False)
    print("gone", flush=True)
cluster.shutdown()
"""
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DISABLE_IMPORT_WARNING": "1"}


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    return environment(tmp_path / "user") | QUIET


@pytest.fixture
def nodes(variables: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Two nodes of one processor each; a line on its input ends the second at once."""
    pytest.importorskip("ray")
    command, pipe = [sys.executable, "-c", NODES], subprocess.PIPE
    with subprocess.Popen(
        command, env=variables, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()
        process.wait(60)


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_whatever_is_killed_on_two_nodes_the_table_is_that_of_one_machine(
    nodes: subprocess.Popen[str], variables: dict[str, str], tmp_path: Path
) -> None:
    assert nodes.stdout is not None
    assert nodes.stdin is not None
    address = nodes.stdout.readline().strip()
    first = Campaign(tmp_path, "out", variables, "--address", address)
    first.wait_for(4)
    first.kill_a_worker()
    first.wait_for(6)
    first.kill()
    kept = first.entries()
    assert len({entry["worker"].rpartition(" ")[0] for entry in kept if entry["worker"]}) == 2, "one node did it all"
    second = Campaign(tmp_path, "out", variables, "--address", address)
    second.wait_for(len(kept) + 1)
    nodes.stdin.write("end the second node\n")
    nodes.stdin.flush()
    code, output, errors = second.ended()
    assert (code, errors) == (1, "")
    assert f"{EPISODES - len(kept)} driven now" in output
    alone = Campaign(tmp_path, "alone", variables, "--processes", "2")
    alone.ended()
    assert (second.out / "results.parquet").read_bytes() == (alone.out / "results.parquet").read_bytes()


def test_without_ray_and_without_a_cluster_the_command_says_so_in_one_line(
    variables: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "user" / "ray.py").write_text("raise ImportError('none here')\n", encoding="utf-8")
    code, _, errors = Campaign(tmp_path, "out", variables, "--address", "auto").ended()
    assert (code, errors) == (2, "error: --address needs Ray (none here); type: pip install 'tidegate[cluster]'\n")


def test_an_address_without_a_cluster_is_named(variables: dict[str, str], tmp_path: Path) -> None:
    pytest.importorskip("ray")
    code, _, errors = Campaign(tmp_path, "out", variables, "--address", "127.0.0.1:1").ended()
    assert (code, errors) == (2, "error: no Ray cluster at '127.0.0.1:1': [Errno 111] Connection refused\n")
