FROM alpine
COPY link.txt /copied
COPY dirlink /copieddir
