"""A Kafka, a Redis and a worker on free ports of loopback, for measurements. Each ends with its `with` block."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
START_TIMEOUT = 60

KAFKA_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=2097152
"""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until(ready, what):
    end = time.monotonic() + START_TIMEOUT
    while not ready():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} is not ready after {START_TIMEOUT} s")
        time.sleep(0.02)


def accepts(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@contextlib.contextmanager
def process(command, log, **options):
    with open(log, "wb") as file:
        child = subprocess.Popen(command, stdout=file, stderr=file, **options)
    try:
        yield child
    finally:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(timeout=60)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


@contextlib.contextmanager
def kafka(directory):
    """Yields `host:port` of a broker that keeps its data in `directory`."""
    port, settings = free_port(), directory / "server.properties"
    settings.write_text(KAFKA_PROPERTIES.format(port=port, controller=free_port(), data=directory / "kafka"))
    java = ["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", f"{ROOT}/target/kafka-lib/*"]
    subprocess.run(
        [*java, "kafka.tools.StorageTool", "format", "-t", "AAAAAAAAQACAAAAAAAAAAA", "-c", str(settings)],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    with process([*java, "kafka.Kafka", str(settings)], directory / "kafka.log", cwd=directory):
        wait_until(lambda: accepts(port), "Kafka")
        yield f"127.0.0.1:{port}"


@contextlib.contextmanager
def redis(directory):
    """Yields the port of a server without persistence."""
    port = free_port()
    command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(directory)]
    with process(command, directory / "redis.log"):
        wait_until(lambda: accepts(port), "Redis")
        yield port


@contextlib.contextmanager
def worker(directory, brokers, redis_port, **variables):
    """Yields a ready `gstreamer-worker run`."""
    variables.setdefault("METRICS_PORT", str(free_port()))
    environment = {
        **os.environ, "KAFKA_BROKERS": brokers, "REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(redis_port),
        "WORK_URL": f"file://{directory}/work", **variables,
    }
    (directory / "work").mkdir(exist_ok=True)

    def ready():
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{variables['METRICS_PORT']}/readyz", timeout=5) as answer:
            return answer.status == 200
        return False

    command = [str(ROOT / "target/release/gstreamer-worker"), "run"]
    with process(command, directory / "worker.log", env=environment) as child:
        wait_until(ready, "the worker")
        yield child


def publish(brokers, job):
    """Sends a job as any producer would; comes back when the broker has it."""
    subprocess.run(
        ["kcat", "-P", "-b", brokers, "-t", "transcoding", "-k", job["job_id"], "-X", "acks=all", "-X", "linger.ms=0"],
        input=json.dumps(job).encode(), check=True,
    )
