FROM alpine
ENV SRC=a.txt DST=/env/dst
COPY ${SRC} $DST/
