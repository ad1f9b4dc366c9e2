ARG BASE=alpine
FROM ${BASE}
RUN echo ok > /ok
