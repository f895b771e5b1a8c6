# One static program on nothing else: FROM scratch, as user 65532, on a read-only root. Each architecture builds itself:
#
#   docker buildx build --platform linux/amd64,linux/arm64 --build-arg REVISION=$(git rev-parse HEAD) -t REGISTRY/tenure:0.1.0 --push .
FROM docker.io/library/rust:1.95.0-slim-bookworm AS build
# Debian keeps no older versions: a pin would fail with the next point release.
# hadolint ignore=DL3008
RUN apt-get update && \
    apt-get install -y --no-install-recommends ca-certificates protobuf-compiler libprotobuf-dev && \
    rm -rf /var/lib/apt/lists/*
WORKDIR /tenure
# Applies to the program alone, not to what runs during the build, where --target is given.
ENV RUSTFLAGS="-C target-feature=+crt-static"

# The dependencies, in a layer that stays until they change.
COPY Cargo.toml Cargo.lock ./
RUN mkdir -p src benches/peers && \
    echo 'fn main() {}' >src/main.rs && cp src/main.rs benches/peers/ && touch src/lib.rs && \
    cargo build --release --locked --bin tenure --target "$(uname -m)-unknown-linux-gnu" && \
    rm -r src

COPY src src
# With new times, so that cargo sees what has replaced the empty files.
RUN find src -exec touch {} + && \
    cargo build --release --locked --bin tenure --target "$(uname -m)-unknown-linux-gnu" && \
    cp "target/$(uname -m)-unknown-linux-gnu/release/tenure" /usr/local/bin/

FROM scratch
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="tenure" \
      org.opencontainers.image.description="A leader-election sidecar" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY LICENSE /
COPY --from=build /usr/local/bin/tenure /tenure
USER 65532:65532
EXPOSE 4041
# Asks the probes: an answer of the api would be a promise, and delay a hand-over.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["/tenure", "status", "--url", "http://127.0.0.1:4041"]
ENTRYPOINT ["/tenure"]
CMD ["run", "--config", "/etc/tenure/config.yaml"]
