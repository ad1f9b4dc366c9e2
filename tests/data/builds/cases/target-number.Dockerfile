# flags: --target 1
FROM alpine
FROM alpine
RUN echo one > /one
FROM scratch
