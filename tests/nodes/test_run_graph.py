# SPDX-License-Identifier: Apache-2.0
"""The real graph as processes, brought up and down without ros2 launch."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from plant import CAR_YAML
from rclpy.serialization import deserialize_message, serialize_message
from rosbags.highlevel import AnyReader

from tidegate.bag import BagReader
from tidegate.bundle import Bundle
from tidegate.errors import GraphError
from tidegate.evaluation.difference import QUANTITIES, Difference, Tolerances, against_record, compare, full_scales
from tidegate.evaluation.drivers import BundleDriver
from tidegate.evaluation.pilot import Pilot
from tidegate.evaluation.replay import Replay, replay
from tidegate.evaluation.topics import OUTPUTS
from tidegate.messages import TOPICS, encode
from tidegate.nodes.bringup import Graph
from tidegate.nodes.graph_options import GraphOptions
from tidegate.nodes.remote import Remote
from tidegate.nodes.run_graph import run_graph
from tidegate.nodes.topics import make, message_class
from tidegate.safety import Supervisor
from tidegate.settings import Settings
from tidegate.simulation import Simulator

pytestmark = pytest.mark.real_time

SEED = 1003
NODES = {"recorder_node", "simulator_node", "perception_node", "policy_node", "safety_node"}


def messages(bag: Path) -> dict[str, list[bytes]]:
    """Serialised messages of a bag by relative topic, in order."""
    found: dict[str, list[bytes]] = {topic: [] for topic in TOPICS}
    with AnyReader([bag]) as reader:
        for connection, _, data in reader.messages():
            found[connection.topic.removeprefix("/")].append(bytes(data))
    return found


@pytest.fixture(scope="module")
def recorded(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    bag = tmp_path_factory.mktemp("graph") / "bag"
    options = GraphOptions(bundle, CAR_YAML, seed=SEED, lock_step=True, record=bag)
    summary = run_graph(options, duration_s=1.5)
    assert summary.end == "duration"
    assert summary.standing
    assert summary.problems == ()
    assert set(summary.pss_mb) == NODES
    assert sum(mb for name, mb in summary.pss_mb.items() if name != "simulator_node") < 400
    return bag


def test_every_round_is_in_the_bag(recorded: Path) -> None:
    found = messages(recorded)
    rounds = len(found["tick"])
    assert rounds > 300
    for topic in ("joint_states", "odom", "imu", "truth"):
        assert len(found[topic]) == rounds
    for topic in ("command", "effort_controller/commands", "safety_node/barriers", "safety_node/inputs"):
        assert rounds - 1 <= len(found[topic]) <= rounds
    frames = len(found["camera/image_raw"])
    assert frames >= rounds // 10
    for topic in ("features", "lane", "health", "nominal", "gains", "neurons", "camera/camera_info"):
        assert len(found[topic]) == frames


def test_the_graph_in_lock_step_gives_what_the_loop_without_ros_gives(
    recorded: Path, bundle: Path, settings: Settings
) -> None:
    found = messages(recorded)
    sent: dict[str, list[object]] = {topic: [] for topic in ("command", "nominal", "lane", "odom")}
    with Simulator(settings, "road", SEED) as simulator:
        driver = BundleDriver(Bundle.load(bundle, "car"), settings)
        pilot = Pilot(driver, Supervisor(settings, simulator.car))
        for _ in range(300):
            sensors = simulator.observe()
            step = pilot.tick(simulator.now, sensors)
            sent["odom"].append(sensors.odometry)
            sent["command"].append(step.tick.command)
            if step.percept is not None:
                sent["lane"].append(step.percept.lane)
            if step.decision is not None:
                sent["nominal"].append(step.decision.nominal)
            simulator.apply(step.tick.command)
            simulator.step()
    for topic, records in sent.items():
        kind = message_class(TOPICS[topic].type)
        got = [deserialize_message(data, kind) for data in found[topic][: len(records)]]
        assert len(got) == len(records)
        for one, record in zip(got, records, strict=True):  # the wire pads; bit for bit is what counts
            assert serialize_message(one) == serialize_message(encode(record, make)), (topic, record.stamp)


def replayed(bag: Path, bundle: Path, settings: Settings) -> tuple[Replay, dict[str, Difference]]:
    """A bag of the live graph, run again without it."""
    model = Bundle.load(bundle, "car")
    made = replay(BagReader(bag), model, settings)
    found = compare(*against_record(made), full_scales(model, settings), made.start, Tolerances())
    return made, {one.name: one for one in found}


def test_a_live_recording_in_lock_step_is_replayed_bit_for_bit(
    recorded: Path, bundle: Path, settings: Settings
) -> None:
    made, found = replayed(recorded, bundle, settings)
    assert {one.quantity for one in found.values()} == {QUANTITIES[topic] for topic in OUTPUTS}
    assert {name: one.largest for name, one in found.items() if one.at is not None} == {}
    assert found["command.present"].count > 300
    assert made.notes == ()


@pytest.mark.slow
def test_a_recording_in_real_time_is_replayed_and_what_was_dropped_is_named(
    bundle: Path, settings: Settings, tmp_path: Path
) -> None:
    """Perception is held up for longer than its queue is deep: frames are lost on the way to it, not to the bag."""
    bag = tmp_path / "bag"
    with Graph(GraphOptions(bundle, CAR_YAML, seed=SEED, record=bag), quiet) as graph:
        graph.spin(3.0)
        os.kill(graph.children["perception_node"].pid, signal.SIGSTOP)
        graph.spin(3.0)
        os.kill(graph.children["perception_node"].pid, signal.SIGCONT)
        graph.spin(1.5)
    made, found = replayed(bag, bundle, settings)
    frames = sorted(record.stamp for _, _, record in BagReader(bag).messages(["camera/image_raw"]))
    dropped = sorted(set(frames) - set(made.recorded["lane"]))
    assert dropped
    (note,) = [note for note in made.notes if "perception did not process them" in note.text]
    named = [stamp for stretch in note.at for stamp in frames if within(stretch, (stamp - made.start) / 1e9)]
    assert named == dropped
    assert found["command.present"].count == made.ticks > 200  # all: the recorder heard the first one
    assert {name: one.largest for name, one in found.items() if one.since is not None} == {}  # 1e-6 of full scale
    exact = all(one.at is None for one in found.values())
    compared = found["command.present"].count
    print(
        f"{made.ticks} ticks, {compared} compared, bit-equal: {exact}; {len(dropped)} of {len(frames)} frames dropped"
    )


def within(stretch: str, at: float) -> bool:
    """Whether a moment [s] lies in what a note names, to a millisecond."""
    first, _, last = stretch.partition(" to ")
    return float(first) - 6e-4 < at < float(last or first) + 6e-4


@pytest.mark.slow
def test_real_time_measures_latency_and_loses_no_frame(bundle: Path, tmp_path: Path) -> None:
    options = GraphOptions(bundle, CAR_YAML, seed=SEED, record=tmp_path / "bag")
    summary = run_graph(options, duration_s=3.0)
    assert summary.standing
    assert summary.latency_ms
    assert min(summary.latency_ms) > 0
    found = messages(tmp_path / "bag")
    assert len(found["camera/image_raw"]) >= 0.99 * len(found["timing/rendered"])


def test_a_node_that_dies_is_named_and_the_rest_goes_down(bundle: Path) -> None:
    options = GraphOptions(bundle, CAR_YAML, lock_step=True)
    graph = Graph(options, quiet)

    def drive() -> None:
        with graph:
            for child in graph.children.values():
                assert "torch" not in Path(f"/proc/{child.pid}/maps").read_text()
            assert re.search(r"\w+ \(\w+\.py:\d+\)", graph.children["policy_node"].whereabouts())
            os.kill(graph.children["policy_node"].pid, signal.SIGKILL)
            graph.spin(1.0)

    with pytest.raises(GraphError, match=r"policy_node ended by itself \(code -9\)"):
        drive()
    children = graph.children
    assert all(child.code is not None for child in children.values())
    assert children["safety_node"].code == 0


@pytest.mark.slow
def test_a_recorder_that_dies_is_told_of_and_stops_nobody(bundle: Path, tmp_path: Path) -> None:
    told: list[str] = []
    options = GraphOptions(bundle, CAR_YAML, lock_step=True, record=tmp_path / "bag")
    graph = Graph(options, lambda *words: told.append(" ".join(words)))

    def drive() -> None:
        with graph:
            os.kill(graph.children["recorder_node"].pid, signal.SIGKILL)
            graph.spin(1.0)
            graph.spin(0.5)
            assert graph.children["safety_node"].code is None
            said = "recorder_node ERROR ended by itself (code -9); nothing is recorded any more"
            assert told.count(said) == 1

    with pytest.raises(GraphError, match=r"recorder_node ended with code -9"):  # at the end
        drive()
    assert graph.children["safety_node"].code == 0


@pytest.mark.slow
def test_nodes_that_believe_the_safety_node_alive_go_down_all_the_same(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the word that it has left the domain is lost: somebody seems to publish commands still."""
    monkeypatch.setattr("tidegate.nodes.bringup.DOWN_TIMEOUT_S", 8.0)  # less than a node lingers
    with Graph(GraphOptions(bundle, CAR_YAML, lock_step=True), quiet) as graph:
        graph.node.create_publisher(message_class(TOPICS["command"].type), "command", 1)
        graph.spin(0.5)
    assert {child.code for child in graph.children.values()} == {0}


@pytest.mark.slow
def test_a_node_that_does_not_answer_in_time_is_named_with_what_it_does(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Deaf(Remote):
        def ready(self) -> bool:
            return False

    monkeypatch.setattr("tidegate.nodes.bringup.Remote", Deaf)
    monkeypatch.setattr("tidegate.nodes.bringup.START_TIMEOUT_S", 10.0)
    with pytest.raises(GraphError, match=r"simulator_node did not start within 10 s \(nodes .*; it is in: .*\.py:"):
        run_graph(GraphOptions(bundle, CAR_YAML))


@pytest.mark.slow
def test_a_missing_bundle_is_named(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match=r"perception_node failed to configure: .*no such bundle"):
        run_graph(GraphOptions(tmp_path / "nothing", CAR_YAML))


def test_an_impossible_domain_is_named(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", "999")
    with pytest.raises(GraphError, match="ROS_DOMAIN_ID is '999'; it must be 0 to 232"):
        run_graph(GraphOptions(bundle, CAR_YAML))


def test_the_command_line_ends_with_a_braked_car_on_ctrl_c_and_a_second_graph_is_refused(bundle: Path) -> None:
    tidegate = [sys.executable, "-c", "from tidegate.cli.app import main; main()"]
    command = [*tidegate, "run", "--bundle", str(bundle), "--lock-step"]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        while not alive("safety_node", first.pid):
            assert first.poll() is None
            time.sleep(0.05)
        time.sleep(3.0)
        second = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert second.returncode == 2
        assert "already" in second.stderr
        first.send_signal(signal.SIGINT)
        out, err = first.communicate(timeout=60)
    finally:
        if first.poll() is None:
            first.kill()
            first.communicate()
    assert first.returncode == 0, err
    assert "Traceback" not in out + err
    assert "interrupted" in out


@pytest.mark.slow
def test_a_graph_whose_parent_was_killed_goes_down(bundle: Path) -> None:
    script = "import sys; from pathlib import Path; from tidegate.nodes.bringup import *\n"
    script += f"graph = Graph(GraphOptions(Path({str(bundle)!r}), Path({str(CAR_YAML)!r}), lock_step=True), print)\n"
    script += "with graph: print(*(child.pid for child in graph.children.values()), flush=True); graph.spin(60)"
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pids: list[str] = []
    while not (pids and all(pid.isdigit() for pid in pids)):
        pids = parent.stdout.readline().split()
        assert parent.poll() is None
    parent.kill()
    parent.communicate()
    end = time.monotonic() + 30
    while left := [pid for pid in pids if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < end, left
        time.sleep(0.1)


def test_a_signal_during_bring_up_ends_it_quietly(bundle: Path) -> None:
    options = GraphOptions(bundle, CAR_YAML, lock_step=True)
    timer = threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    summary = run_graph(options)
    assert summary.end == "interrupted"


def alive(node: str, parent: int) -> bool:
    """Whether ``parent`` has a child process that runs ``node``."""
    children = subprocess.run(["ps", "--ppid", str(parent), "-o", "args="], capture_output=True, text=True, check=False)
    return node in children.stdout


def quiet(_node: str, _level: str, _text: str) -> None:
    """Nobody listens."""
