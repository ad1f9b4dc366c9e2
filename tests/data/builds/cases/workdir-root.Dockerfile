FROM alpine
WORKDIR /
