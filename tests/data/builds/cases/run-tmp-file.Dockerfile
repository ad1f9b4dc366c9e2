FROM alpine
RUN echo t > /tmp/t; ls -ld /tmp | cut -c1-10 > /m
