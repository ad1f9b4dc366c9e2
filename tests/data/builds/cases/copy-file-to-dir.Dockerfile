FROM alpine
COPY a.txt /newdir/
