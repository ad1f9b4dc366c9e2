FROM alpine
ENV D=/data
VOLUME /a /b $D
VOLUME ["/c", "/with space"]
