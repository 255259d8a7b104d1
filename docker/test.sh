#!/usr/bin/env bash
# Builds the image as docs/operations.md says and runs jobs through it: docker/test.py says which. Needs root, the Rust
# of this machine, and `make test-deps`; no image registry: the base images are made here with debootstrap. An engine
# that answers is used; otherwise one is started and ended here. TEST_DIR= keeps base and layers between runs.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -n "${ON_PLATFORM:-}" ] || exec docker/platform "$0" "$@"
directory=${TEST_DIR:-target/docker}
mkdir -p "$directory"
directory=$(realpath "$directory")

for package in docker.io docker-cli debootstrap; do
    dpkg-query -W -f='${Status}' $package 2>/dev/null | grep -q 'ok installed' || missing+=" $package"
done
[ -z "${missing:-}" ] || { apt-get update -qq; apt-get install -y -qq --no-install-recommends $missing >/dev/null; }

if ! docker info >/dev/null 2>&1; then
    export DOCKER_HOST=unix://$directory/engine.sock
    # Only the host's network is used, so that the engine has to change nothing on this machine.
    dockerd --bridge=none --iptables=false --ip6tables=false --data-root "$directory/data" --exec-root "$directory/exec" \
        -H "$DOCKER_HOST" -p "$directory/engine.pid" >"$directory/engine.log" 2>&1 &
    engine=$!
    trap 'kill $engine; wait $engine || true' EXIT
    for _ in $(seq 60); do docker info >/dev/null 2>&1 && break; sleep 0.5; done
    docker info >/dev/null || { tail "$directory/engine.log"; echo "the Docker engine does not start"; exit 1; }
fi

if [ ! -e "$directory/base/etc/debian_version" ]; then
    debootstrap --variant=minbase trixie "$directory/base.part" http://deb.debian.org/debian >"$directory/debootstrap.log"
    # Behind a proxy with a certificate of its own, this machine's are the ones that count.
    install -D /etc/ssl/certs/ca-certificates.crt "$directory/base.part/etc/ssl/certs/ca-certificates.crt"
    rm -rf "$directory"/base.part/var/cache/apt/archives/*.deb
    mv "$directory/base.part" "$directory/base"
fi
docker image inspect test-debian >/dev/null 2>&1 || tar -C "$directory/base" -c . | docker import - test-debian >/dev/null
docker image inspect test-rust >/dev/null 2>&1 ||
    tar -c --exclude=./usr/local/bin --exclude=./usr/local/lib -C "$directory/base" . --transform='s,^\(bin\|lib\)\(/\|$\),usr/local/\1\2,S' -C "$(rustc --print sysroot)" bin lib |
    docker import - test-rust >/dev/null

# As in docs/operations.md, with the base images of this machine, and its network.
docker build --network host --build-arg RUST=test-rust --build-arg DEBIAN=test-debian \
    -t gstreamer-worker -f docker/Dockerfile .
python3 docker/test.py gstreamer-worker
