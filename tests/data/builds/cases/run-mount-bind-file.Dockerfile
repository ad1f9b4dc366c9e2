FROM alpine
RUN --mount=type=bind,source=a.txt,target=/mnt/file cat /mnt/file > /got
