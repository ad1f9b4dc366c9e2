FROM alpine
ARG WHERE=/mnt
RUN --mount=type=bind,source=dir,target=$WHERE ls $WHERE > /ls
