# syntax=docker/dockerfile:1
FROM rust:1-slim-bookworm AS builder
# SQLite, ring, mimalloc and Zstandard are compiled from C.
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin dealwire \
    && cp target/release/dealwire /usr/local/bin/dealwire

FROM debian:bookworm-slim
# Webhooks are called over TLS, which needs root certificates.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home dealwire \
    && install -d -o dealwire -m 0700 /data
COPY --from=builder /usr/local/bin/dealwire /usr/local/bin/dealwire
USER dealwire
ENV DEALWIRE_LISTEN=0.0.0.0:8080 DEALWIRE_DATA_DIR=/data
VOLUME /data
EXPOSE 8080
ENTRYPOINT ["dealwire"]
# Without the demo market, whose keys are public. A flag of the default command rather than a variable of the image, so
# that `dealwire serve --demo` and `dealwire seed --demo` need not contradict it.
CMD ["serve", "--no-demo"]
