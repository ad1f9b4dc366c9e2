FROM alpine
RUN mkdir -p /t/sub && echo old > /t/one.txt && echo kept > /t/sub/kept
ADD plain.tar /t
