ARG EMPTY=
ARG IMAGE=${EMPTY:-alpine}
FROM ${IMAGE:-nothing} AS base
FROM base
LABEL x=y
