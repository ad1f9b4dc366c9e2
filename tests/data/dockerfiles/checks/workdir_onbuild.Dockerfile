FROM scratch AS base
ONBUILD WORKDIR rel
FROM base
WORKDIR two
