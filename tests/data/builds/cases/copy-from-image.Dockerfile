FROM alpine
COPY --from=alpine /bin/busybox /copied
