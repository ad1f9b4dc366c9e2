FROM --platform=linux/amd64 scratch AS a
FROM --platform=linux/amd64 scratch AS build-amd64
FROM --platform=linux/arm64 scratch AS linux
FROM --platform=arm scratch
