# `make run` and `make test` are all that is needed to begin. The rest is what they, and CI, are made of.

.PHONY: run test lint docs charts image-check cluster-check release sbom bench

run: ## a candidate on the embedded store
	@.ci/install build
	cargo run --release --locked -- run --config config/local.yaml

test: ## all tests, on real etcd
	@.ci/install test
	cargo test --locked

lint:
	@.ci/install build
	cargo fmt --check
	cargo clippy --locked --all-targets -- --deny warnings
	cp Cargo.lock tests/fuzz/
	cargo clippy --manifest-path tests/fuzz/Cargo.toml --target-dir target -- --deny warnings

docs:
	RUSTDOCFLAGS="--deny warnings" cargo doc --locked --no-deps

charts: ## the chart, the manifests, the alerts and the dashboard, held against what will read them
	@.ci/install charts
	cargo build --locked
	tests/kubernetes/run

image-check: ## the image, built and tried without a registry
	tests/kubernetes/image

cluster-check: ## the chart on the cluster of kubectl's context, in a namespace of its own
	tests/kubernetes/on-cluster

# The same source gives the same bytes wherever it lies: no path of this machine gets into the binary.
release: export RUSTFLAGS := --remap-path-prefix=$(CURDIR)=/tenure --remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)=/cargo $(RUSTFLAGS)
release: sbom ## target/release/tenure, and beside it what it is made of
	@.ci/install build
	cargo build --release --locked

sbom:
	@env -u RUSTFLAGS .ci/sbom

bench: ## tenure beside its peers: target/bench/report.md
	@.ci/install bench
	cargo bench --locked --bench peers
