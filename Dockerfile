# The image of both containers, of the installer and (target "forwarder") of the testpmd forwarder:
#   npm run build:image                               here, without a registry
#   docker build --tag smartnic .                     with one; --platform linux/arm64 for the other architecture
ARG NODE_IMAGE=docker.io/library/node:24.21.0-trixie-slim

# The executable (C, musl, static), the servers as bundles, and the image's root, in which every program is started once.
FROM ${NODE_IMAGE} AS build
# Debian keeps one version of a package; what the compiler makes is tested, and the compiler is in no image that runs.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends gcc musl-tools \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --prefer-offline --no-audit --no-fund --loglevel=error
COPY . .
RUN node deploy/build.mjs && node deploy/image/root.mjs /image

# The testpmd forwarder's: the same, and dpdk-testpmd with DPDK's network drivers.
FROM build AS build-forwarder
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends dpdk-dev \
 && rm -rf /var/lib/apt/lists/* \
 && node deploy/image/root.mjs /image --with-dpdk

FROM scratch AS smartnic-forwarder
COPY --from=build-forwarder /image /
WORKDIR /opt/smartnic
ENV PATH=/opt/smartnic:/usr/local/bin:/usr/bin
USER 65532:65532
CMD ["smartnic-forwarder.mjs"]

# Node, env (the programs' first lines), the libraries that they are linked with, and dist/. No shell, no package manager.
FROM scratch AS smartnic
COPY --from=build /image /
WORKDIR /opt/smartnic
ENV PATH=/opt/smartnic:/usr/local/bin
# The device plugin and the CNI server are root without most of its rights; deploy/base says so where it is needed.
USER 65532:65532
CMD ["smartnic-install.mjs", "--help"]
