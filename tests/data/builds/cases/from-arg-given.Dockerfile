# flags: --build-arg BASE=alpine
ARG BASE=missing
FROM $BASE
