FROM alpine
RUN --mount=type=bind,source=dir,target=/mnt,rw echo new > /mnt/new && ls -A /mnt > /ls
