FROM alpine
RUN mkdir /there
COPY a.txt /there
