FROM alpine
COPY dir /d
