FROM alpine
RUN mkdir -p /d/sub && echo 1 > /d/one && echo 2 > /d/sub/two
RUN rm /d/one
RUN rm -r /d/sub
RUN rm -r /d && mkdir /d && echo new > /d/new
