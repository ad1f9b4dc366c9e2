FROM alpine
ADD xz.tar.xz /t
