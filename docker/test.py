#!/usr/bin/env python3
"""Runs jobs through the image, on a real Kafka and Redis: a container is stopped with SIGTERM in the middle of a job, another
one goes on, and the output is, byte for byte, that of a container that was left alone. `docker/test.sh` calls it."""

import contextlib
import hashlib
import json
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "benches"))
import servers  # noqa: E402

IMAGE = sys.argv[1]
FILM = servers.ROOT / "target/test-media/film.mp4"
PATIENCE = 240


def docker(*args):
    return subprocess.run(["docker", *args], check=True, capture_output=True, text=True).stdout.strip()


class Container:
    """A worker as a pod runs it: no root, nothing writable but its volumes, no capabilities."""

    def __init__(self, directory, brokers, redis_port):
        self.metrics = servers.free_port()
        variables = {
            "KAFKA_BROKERS": brokers, "KAFKA_TOPIC": "transcoding", "REDIS_HOST": "127.0.0.1", "REDIS_PORT": redis_port,
            "GPU_ENABLED": "auto", "CHUNK_SECONDS": 2, "ENCODER_POOL_SIZE": 1, "METRICS_PORT": self.metrics, "LOG_FORMAT": "json",
        }
        settings = [word for name, value in variables.items() for word in ("-e", f"{name}={value}")]
        volumes = ["-v", f"{directory}/work:/var/lib/gstreamer-worker", "-v", f"{directory}/media:/media"]
        confined = ["--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
        self.id = docker("run", "-d", "--network", "host", *confined, *settings, *volumes, IMAGE)

    def page(self, path):
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}{path}", timeout=5) as answer:
            return answer.read().decode()
        return ""

    def state(self):
        return json.loads(docker("inspect", self.id))[0]["State"]

    def log(self):
        return subprocess.run(["docker", "logs", self.id], capture_output=True, text=True).stderr

    def wait(self, ready, what):
        end = time.monotonic() + PATIENCE
        while not ready():
            if time.monotonic() > end or not self.state()["Running"]:
                raise SystemExit(f"{what}: not seen\n{self.log()}")
            time.sleep(0.1)

    def count(self, metric):
        found = re.findall(rf"^{re.escape(metric)} (\S+)$", self.page("/metrics"), re.MULTILINE)
        return sum(map(float, found))

    def stop(self):
        docker("stop", "-t", "60", self.id)
        code = self.state()["ExitCode"]
        assert code == 0, f"exit code {code}\n{self.log()}"


def job(job_id):
    output = {
        "uri": f"file:///media/{job_id}.mp4", "container": "mp4", "audio": {"codec": "aac"},
        "video": {"codec": "h264", "height": 480, "bitrate": 1_000_000, "preset": "fast"},
    }
    return {"job_id": job_id, "input": {"uri": "file:///media/film.mp4"}, "outputs": [output]}


def main():
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        directory = Path(name)
        directory.chmod(0o755)
        for volume in ("work", "media"):
            (directory / volume).mkdir()
            (directory / volume).chmod(0o777)
        (directory / "media/film.mp4").write_bytes(FILM.read_bytes())
        brokers = stack.enter_context(servers.kafka(directory))
        redis_port = stack.enter_context(servers.redis(directory))
        ended = lambda job_id: (directory / f"media/{job_id}.mp4").exists()  # noqa: E731
        done = 'transcode_tasks_total{stage="encode",outcome="done"}'

        first = Container(directory, brokers, redis_port)
        stack.callback(lambda: docker("rm", "-f", first.id))
        first.wait(lambda: first.page("/readyz"), "the first container is ready")
        first.wait(lambda: first.state()["Health"]["Status"] == "healthy", "it is healthy")
        servers.publish(brokers, job("stopped"))
        first.wait(lambda: first.count(done) >= 3, "three chunks are encoded")
        assert not ended("stopped")
        first.stop()
        assert not ended("stopped"), "the job was over before the container was stopped"

        second = Container(directory, brokers, redis_port)
        stack.callback(lambda: docker("rm", "-f", second.id))
        second.wait(lambda: ended("stopped"), "the job goes on")
        servers.publish(brokers, job("alone"))
        second.wait(lambda: ended("alone"), "another job completes")
        digests = {hashlib.sha256((directory / f"media/{job_id}.mp4").read_bytes()).hexdigest() for job_id in ("stopped", "alone")}
        assert len(digests) == 1, "a job that was stopped in the middle has other bytes"
        second.wait(lambda: second.count('transcode_jobs_total{outcome="completed"}') == 2, "both are counted")
        again = second.count(done)
        second.stop()
        for line in second.log().splitlines():
            assert "worker" in json.loads(line), line

    # Fault injection is for the tests alone.
    docker("run", "--rm", "--entrypoint", "sh", IMAGE, "-c", "! grep -qE 'TEST_DEVICE|TEST_X264' /usr/local/bin/gstreamer-worker")
    megabytes = int(docker("image", "inspect", "--format", "{{.Size}}", IMAGE)) / 1e6
    print(f"passed: {again:.0f} chunks by the second container, the image has {megabytes:.0f} MB")


main()
