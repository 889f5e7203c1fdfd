# What CI runs, and the few commands one needs each day. `cargo install just`, or read it as documentation.

# Everything that must hold: the same as ./test
verify:
    ./test

# The quick part: format, lints, tests of one crate
check crate="cardctl":
    cargo fmt --all --check
    rustfmt --check kinds/src/kinds/*.rs
    cargo clippy -p {{crate}} --all-targets -- -D warnings
    ./test --services -- cargo nextest run -p {{crate}}

# Any command with a private Postgres and Redis, such as: just with-services cargo nextest run -p card-core cluster
[positional-arguments]
with-services +command:
    ./test --services -- "$@"

# What the plug is pulled on, and the audit after it
faults:
    ./test --faults

# The first look
demo:
    cargo run --release -- demo

# What a release gives to others, for this machine's platform: dist/ has the archive, the wheel and the npm packages, each tried
package:
    rm -rf dist
    packaging/build target/package/programs
    packaging/package --out dist target/package/programs
    packaging/try dist

# The figures of docs/performance.md
bench part="all":
    cargo build --profile dist
    cargo run --profile dist -p card-loadtests --example bench -- {{part}}
