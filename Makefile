# make demo    shows Weir at work
# make test    everything that must hold; what CI runs
# make bench   the measurements, into target/bench
# make lab     how often Weir is right: attacks of every family, scored, into target/lab
# make build   the programs, into target/release
# make setup   installs what the build needs

# What `weir demo` is called with, as in: make demo OPTIONS=--once
OPTIONS =
PROGRAMS = -p weir-cli -p weir-sensor -p weir-control -p weir-sender

.PHONY: build demo test bench lab setup setup-test deny

build: setup
	cargo build --release --locked $(PROGRAMS)

demo: build
	"$${CARGO_TARGET_DIR:-target}/release/weir" demo $(OPTIONS)

# The programs are built first, since the tests of the whole run them.
test: setup-test
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo clippy -p weir-sensor --no-default-features --locked -- -D warnings
	$(MAKE) --no-print-directory deny
	cargo build --locked $(PROGRAMS)
	RUSTFLAGS="--cfg loom" cargo test -q -p weir-shm -p weir-engine --lib --release --locked --target-dir target/loom loom
	cargo test --workspace --locked

deny:
	@if cargo deny --version >/dev/null 2>&1; then \
		cargo deny --log-level error --locked check bans licenses sources; \
	else \
		echo "skipped: licences and sources, since cargo-deny is not installed"; \
	fi

bench: build setup-test
	cargo run --release --locked -p weir-benches --bin weir-bench

# OPTIONS as of `weir lab run`, as in: make lab OPTIONS="--families beacon --seeds 4"
lab: build setup-test
	"$${CARGO_TARGET_DIR:-target}/release/weir" lab run $(OPTIONS)

setup:
	deploy/setup.sh build

setup-test:
	deploy/setup.sh test
