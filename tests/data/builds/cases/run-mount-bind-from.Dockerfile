FROM alpine AS src
RUN mkdir /d && echo from > /d/f
FROM alpine
RUN --mount=type=bind,from=src,source=/d,target=/mnt cp /mnt/f /copied
