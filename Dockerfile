# syntax=docker/dockerfile:1
FROM rust:1-slim-bookworm AS builder
# SQLite and ring are compiled from C.
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
# Root certificates: webhooks are called over TLS.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home dealwire \
    && install -d -o dealwire -m 0700 /data
COPY --from=builder /usr/local/bin/dealwire /usr/local/bin/dealwire
USER dealwire
# The demo market's keys are public, so a server that others can reach starts without it.
ENV DEALWIRE_LISTEN=0.0.0.0:8080 DEALWIRE_DATA_DIR=/data DEALWIRE_NO_DEMO=true
VOLUME /data
EXPOSE 8080
ENTRYPOINT ["dealwire"]
CMD ["serve"]
