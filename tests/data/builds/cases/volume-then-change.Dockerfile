FROM alpine
RUN mkdir /v && echo 1 > /v/before
VOLUME /v
RUN echo 2 > /v/after
