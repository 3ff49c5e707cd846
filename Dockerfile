# The image of both containers, of the installer and (target "smartnic-forwarder") of the testpmd forwarder:
#   npm run build:image                               here, without a registry
#   docker build --tag smartnic .                     with one; --platform linux/arm64 for the other architecture
#   docker build --target check .                     the checks and the unit tests, before an image is given to others
# Each step has a limit of its own in seconds: long enough for an emulated machine, and whoever builds sees which step it was that hung.
ARG NODE_IMAGE=docker.io/library/node:24.21.0-trixie-slim

# Compilers and packages.
FROM ${NODE_IMAGE} AS tools
# Debian keeps one version of a package; what the compiler makes is tested, and the compiler is in no image that runs.
# hadolint ignore=DL3008
RUN timeout --verbose 900 apt-get update \
 && timeout --verbose 1800 apt-get install --yes --no-install-recommends gcc musl-tools \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY package.json package-lock.json ./
RUN timeout --verbose 1800 npm ci --ignore-scripts --prefer-offline --no-audit --no-fund --loglevel=error

# The executable (C, musl, static) and the servers as bundles. Copied by name: what only `check` reads makes none of this anew.
FROM tools AS build
COPY tsconfig.json ./
COPY admission admission
COPY cni cni
COPY deploy/install deploy/install
COPY device-plugin device-plugin
COPY host host
COPY inventory inventory
COPY network network
COPY operator operator
COPY proto proto
COPY supervisor supervisor
COPY tools tools
COPY vnic vnic
RUN timeout --verbose 900 node tools/bundle.mjs

# What `npm run check` says, and the unit tests that need no root with what was built, in a minute or more. No image is made from this one, so that none
# waits for it: CI has run the same by `npm test` before it builds, and an image for the other architecture is built under emulation,
# ten times slower. That the programs of an image start is seen while its root is laid out, below. Whoever releases by hand asks for `check`.
FROM build AS check
# hadolint ignore=DL3008
RUN timeout --verbose 900 apt-get update \
 && timeout --verbose 1800 apt-get install --yes --no-install-recommends libc6-dev openssl \
 && rm -rf /var/lib/apt/lists/*
COPY . .
RUN timeout --verbose 1800 npm run check \
 && timeout --verbose 3600 setpriv --reuid=65532 --regid=65532 --clear-groups node_modules/.bin/mocha 'test/unit/**/*.test.ts'

# The image's root, in which every program is started once.
FROM build AS root
RUN timeout --verbose 900 node tools/image/root.mjs /image

# The testpmd forwarder's: the same, and dpdk-testpmd with DPDK's network drivers.
FROM root AS root-forwarder
# hadolint ignore=DL3008
RUN timeout --verbose 900 apt-get update \
 && timeout --verbose 1800 apt-get install --yes --no-install-recommends dpdk-dev \
 && rm -rf /var/lib/apt/lists/* \
 && timeout --verbose 900 node tools/image/root.mjs /image --with-dpdk

FROM scratch AS smartnic-forwarder
COPY --from=root-forwarder /image /
WORKDIR /opt/smartnic
ENV PATH=/opt/smartnic:/usr/local/bin:/usr/bin
USER 65532:65532
CMD ["smartnic-forwarder.mjs"]

# Node, env (the programs' first lines), timeout (for the install step), the libraries that they are linked with, and dist/. No shell, no package manager.
FROM scratch AS smartnic
COPY --from=root /image /
WORKDIR /opt/smartnic
ENV PATH=/opt/smartnic:/usr/local/bin
# The device plugin and the CNI server are root without most of its rights; deploy/base says so where it is needed.
USER 65532:65532
CMD ["smartnic-install.mjs", "--help"]
