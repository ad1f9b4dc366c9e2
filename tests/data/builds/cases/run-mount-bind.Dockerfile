FROM alpine
RUN --mount=type=bind,source=dir,target=/mnt cat /mnt/one.txt > /got; ls -A /mnt > /ls
