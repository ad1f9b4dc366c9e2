# flags: --build-arg V=2
FROM alpine
ARG V
ENV V=${V:-1} W=$V
RUN echo "$V $W" > /v
