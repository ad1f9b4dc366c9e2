FROM alpine
USER 1234
RUN echo $HOME > /tmp/home; id -u > /tmp/uid
