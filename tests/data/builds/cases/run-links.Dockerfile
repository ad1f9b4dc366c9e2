FROM alpine
RUN echo 1 > /a && ln /a /hard && ln -s /a /soft && ln -s ../nowhere /dangling && mkfifo /pipe
RUN echo 2 > /hard
