# Everything here only calls meson and scripts; see `make help`.
BUILD ?= build
.PHONY: all deps demo test check bench bench-density bench-wasm bench-pull fmt install clean help

all: ; @scripts/build $(BUILD)
deps: ; @scripts/deps
demo: ; @scripts/deps && scripts/build $(BUILD) && scripts/demo $(BUILD)
test: ; @scripts/deps && scripts/test
check: ; @scripts/deps && scripts/check
bench: ; @scripts/deps --peers && scripts/build build-bench -Dbuildtype=release && bench/run build-bench
bench-wasm: ; @scripts/deps && scripts/build build-bench -Dbuildtype=release && bench/run build-bench wasm
bench-pull: ; @scripts/deps && scripts/build build-bench -Dbuildtype=release && bench/run build-bench pull
bench-density: ; @scripts/deps && scripts/build build-bench -Dbuildtype=release && bench/run build-bench density
fmt: ; @scripts/fmt
install: all ; @meson install -C $(BUILD)
clean: ; @rm -rf build build-*
help: ; @scripts/help
