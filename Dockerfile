# The image of both containers, of the installer and (target "forwarder") of the testpmd forwarder:
#   npm run build:image                               here, without a registry
#   docker build --tag smartnic .                     with one; --platform linux/arm64 for the other architecture
ARG NODE_IMAGE=docker.io/library/node:24.21.0-trixie-slim

# The executable (C, musl, static) and the servers as bundles.
FROM ${NODE_IMAGE} AS build
RUN apt-get update \
 && apt-get install --yes --no-install-recommends gcc musl-tools \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --prefer-offline --no-audit --no-fund --loglevel=error
COPY . .
RUN node deploy/build.mjs && node deploy/image/root.mjs /image

# Node, the libraries that it is linked with, and dist/. No shell, no package manager.
FROM scratch AS smartnic
COPY --from=build /image /
WORKDIR /opt/smartnic
ENV PATH=/usr/local/bin UV_THREADPOOL_SIZE=8 MALLOC_ARENA_MAX=2
# The device plugin and the CNI server are root without most of its rights; deploy/base says so where it is needed.
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/node", "--max-semi-space-size=1", "--max-old-space-size=64", "--optimize-for-size", "--v8-pool-size=1"]
CMD ["smartnic-device-plugin.mjs", "--help"]
