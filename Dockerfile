# One container with the server and its PostgreSQL. By itself it serves a demo with sign-in, whose passwords everybody knows:
#
#   docker build -t openconsult .
#   docker run --rm --init -p 127.0.0.1:8080:8080 -v openconsult:/data openconsult
#
# is http://localhost:8080/fhir on this machine. .docker/compose.yaml has the same, and a server with a database of its own.

FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.release=$VERSION" -o /openconsult ./cmd/openconsult

FROM debian:bookworm-slim
RUN mkdir /etc/postgresql-common \
 && echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.conf \
 && apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ca-certificates curl postgresql-15 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --user-group openconsult \
 && install -d -m 0700 -o openconsult -g openconsult /data
COPY LICENSE /usr/share/doc/openconsult/
COPY --from=build /openconsult /usr/local/bin/

USER openconsult
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["curl", "-fsS", "-o", "/dev/null", "http://127.0.0.1:8081/readyz"]
ENTRYPOINT ["openconsult"]
CMD ["serve", "--demo", "--data-dir", "/data", "--addr", "0.0.0.0:8080", "--admin-addr", "127.0.0.1:8081"]
