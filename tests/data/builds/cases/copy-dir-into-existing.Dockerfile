FROM alpine
RUN mkdir -p /dest/sub && echo old > /dest/sub/old && echo old > /dest/one.txt && chmod 700 /dest/sub
COPY dir /dest
