FROM alpine
USER 7:8
WORKDIR /owned/deep
