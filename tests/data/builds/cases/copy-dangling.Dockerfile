FROM alpine
COPY dangl* /d/
