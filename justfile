# What CI runs, and the few commands one needs each day. `cargo install just`, or read it as documentation.

# Everything that must hold: the same as ./test
verify:
    ./test

# The quick part: format, lints, tests of one crate
check crate="cardctl":
    cargo fmt --all --check
    cargo clippy -p {{crate}} --all-targets -- -D warnings
    cargo nextest run -p {{crate}}

# The first look
demo:
    cargo run --release -- demo

# The figures of docs/performance.md
bench part="all":
    cargo build --release
    cargo run --release -p card-loadtests --example bench -- {{part}}
