FROM alpine
RUN mkdir -p /src/sub && echo 1 > /src/f && echo 2 > /src/sub/g
RUN mv /src /dst
