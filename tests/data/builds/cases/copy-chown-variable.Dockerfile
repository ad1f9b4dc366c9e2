FROM alpine
ARG U=3
COPY --chown=$U:4 a.txt /a
