FROM alpine
COPY dir /dest
