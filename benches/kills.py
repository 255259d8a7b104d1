"""What a kill costs: media that is encoded again, and the time until another worker goes on. Kafka and Redis on loopback, two
workers with one encoder each; a stand-in for the Transcoding Service notes what it is told and when."""

import contextlib
import http.server
import json
import random
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

import servers

WASTED = "transcode_wasted_media_seconds_total"
SEED = 1


class Service(contextlib.ExitStack):
    """Notes the reports with the time at which they came."""

    def __init__(self):
        super().__init__()
        self.reports, service = [], self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                report = json.loads(self.rfile.read(int(self.headers["content-length"])))
                service.reports.append((time.monotonic(), report))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        # A worker that is killed leaves its connection in the middle.
        server.handle_error = lambda *_: None
        self.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.callback(server.shutdown)

    def wait(self, what, wanted, limit=240):
        end = time.monotonic() + limit
        while True:
            for at, report in list(self.reports):
                if wanted(at, report):
                    return at, report
            if time.monotonic() > end:
                sys.exit(f"{what} did not happen in {limit} s; the last report: {self.reports[-1:]}")
            time.sleep(0.005)


class Fleet:
    """Two workers, one of which is killed and replaced now and then."""

    def __init__(self, stack, **variables):
        self.stack, self.variables, self.started, self.alive = stack, variables, 0, {}
        self.directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self.brokers = stack.enter_context(servers.kafka(self.directory))
        self.redis = stack.enter_context(servers.redis(self.directory))
        self.service = stack.enter_context(Service())
        self.add(), self.add()

    def add(self):
        name, port = f"worker-{self.started}", servers.free_port()
        self.started += 1
        worker = servers.worker(
            self.directory, self.brokers, self.redis, ENCODER_POOL_SIZE="1", HOSTNAME=name, METRICS_PORT=str(port),
            TRANSCODING_SERVICE_URL=self.service.url, **self.variables,
        )
        child = self.stack.enter_context(worker)
        self.alive[f"{name}-{child.pid}"] = (child, port)

    def kill(self, name):
        child, _ = self.alive.pop(name)
        at = time.monotonic()
        child.kill()
        child.wait()
        return at

    def wasted(self):
        total = 0.0
        for _, port in self.alive.values():
            page = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
            total += sum(float(line.rsplit(" ", 1)[1]) for line in page.splitlines() if line.startswith(WASTED))
        return total

    def submit(self, job_id, film, **video):
        servers.publish(self.brokers, {
            "job_id": job_id, "input": {"uri": f"file://{film}"},
            "outputs": [{"uri": f"file://{self.directory}/{job_id}.mp4", "container": "mp4", "video": {"codec": "h264", **video}}],
        })
        return lambda _, report: report["job_id"] == job_id

    def end(self, of):
        _, last = self.service.wait("the end", lambda at, report: of(at, report) and report["status"] in ("completed", "failed"))
        if last["status"] != "completed":
            sys.exit(f"the job failed: {last}")
        return last


def encoded_again(film, rounds):
    """Kills one of two workers at a random moment of each job; prints the media that was encoded again."""
    dice, costs = random.Random(SEED), []
    with contextlib.ExitStack() as stack:
        fleet = Fleet(stack, CHUNK_SECONDS="5", KAFKA_CONFIG_SESSION_TIMEOUT_MS="6000", KAFKA_CONFIG_HEARTBEAT_INTERVAL_MS="500")
        for n in range(rounds):
            of, before = fleet.submit(f"film-{n}", film, height=720, bitrate=5_000_000, preset="veryfast"), fleet.wasted()
            fleet.service.wait("encoding", lambda at, report: of(at, report) and report["status"] == "encoding")
            time.sleep(dice.uniform(0, 8))
            fleet.kill(dice.choice(sorted(fleet.alive)))
            kept = fleet.wasted()
            fleet.add()
            chunks = fleet.end(of)["chunks_total"]
            # What the killed worker itself had counted went with it.
            costs.append(fleet.wasted() - min(before, kept))
    print(f"{rounds} kills of a worker with one encoder, a film of 30 s in {chunks} chunks: media encoded again per kill, "
          f"mean {statistics.mean(costs):.1f} s, most {max(costs):.0f} s\n")


def takeover(clip, rounds):
    """Kills the worker that encodes the only chunk of a job; prints how long it takes until the other one tells progress."""
    times, session = [], 45
    with contextlib.ExitStack() as stack:
        fleet = Fleet(stack)
        for n in range(rounds):
            of = fleet.submit(f"clip-{n}", clip, height=1080, bitrate=5_000_000, preset="veryslow")
            _, first = fleet.service.wait("encoding", lambda at, report: of(at, report) and 2 < report["progress"] < 98)
            killed_at = fleet.kill(first["worker"])
            later, _ = fleet.service.wait("new progress", lambda at, report: (
                of(at, report) and at > killed_at and report["worker"] != first["worker"]))
            times.append(later - killed_at)
            fleet.end(of)
            fleet.add()
    print(f"session timeout {session} s (the default of the worker), {rounds} kills of the worker that encodes the only chunk: "
          f"{statistics.median(times):.1f} s until another worker tells progress (from {min(times):.1f} to {max(times):.1f})\n")
